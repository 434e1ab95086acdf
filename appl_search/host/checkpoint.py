"""A checkpoint from a file, by the host's own loader, in a process that no ComfyUI has started."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from . import embedded
from .text_files import text_files

COMFYUI_PATH = "COMFYUI_PATH"  # of the environment: the folder of a ComfyUI that is to be the host


def prepare() -> None:
    """Makes the ComfyUI at COMFYUI_PATH the host, or the embedded one where that is not set. Before anything imports comfy.

    Raises ValueError when there is no ComfyUI, and ModuleNotFoundError when this Python lacks a package that it needs.
    """
    folder = os.environ.get(COMFYUI_PATH)
    if folder and "comfy.model_management" not in sys.modules:
        if not (Path(folder) / "comfy" / "sd.py").is_file():
            raise ValueError(f"{COMFYUI_PATH} is {folder!r}, but there is no ComfyUI in it (no comfy/sd.py). Set it to ComfyUI's own folder.")
        sys.path.insert(0, folder)
    embedded.prepare()
    try:
        import comfy.sd  # noqa: F401
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"{folder or 'The embedded ComfyUI'} needs the package {error.name}, which this Python ({sys.executable}) does not "
            "have. Run the search with the Python that ComfyUI runs with.",
            name=error.name,
        ) from error


def load(path: Path, vae_path: Path | None = None, dtype: str = "", fp32_vae: bool = False) -> tuple[Any, Any, Any]:
    """(ModelPatcher, CLIP, VAE) of a checkpoint, as ComfyUI's Load Checkpoint gives them. After :func:`prepare`.

    ``vae_path``: a VAE of its own. ``dtype``: of the U-Net's weights ("fp16", "bf16", "fp32"); the host chooses without.
    Raises ValueError with the path for a file that is none, or lacks one of the three.
    """
    import comfy.cli_args
    import comfy.sd
    import comfy.utils
    import torch

    if not path.is_file():
        raise ValueError(f"There is no checkpoint {path}.")
    dtypes = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
    options = {"dtype": dtypes[dtype]} if dtype else {}
    if fp32_vae:
        comfy.cli_args.args.fp32_vae = True
    try:
        with text_files():
            found = comfy.sd.load_checkpoint_guess_config(str(path), output_vae=vae_path is None, output_clip=True, model_options=options)
    except (RuntimeError, ValueError, KeyError, AttributeError) as error:
        raise ValueError(f"ComfyUI cannot load {path} as a checkpoint: {_first_line(error)}. Give a whole checkpoint, not a U-Net or a LoRA.") from error
    model, clip, vae = found[:3]
    if vae_path is not None:
        vae = comfy.sd.VAE(sd=comfy.utils.load_torch_file(str(vae_path)))
    _check_parts(path, {"U-Net": model, "text encoders": clip, "VAE": vae and getattr(vae, "first_stage_model", None)})
    return model, clip, vae


def add_loras(model, clip, loras: Sequence[tuple[Path, float]]) -> tuple[Any, Any]:
    """MODEL and CLIP with LoRAs that are not searched, at their strengths, as ordinary patches."""
    from ..loras.source import LoraSource
    from .lora_loading import load as load_lora
    from .lora_patches import add_patches

    for path, strength in loras:
        patches = load_lora(LoraSource(path), model, clip).patches
        model, clip = add_patches(model, clip, patches, dict.fromkeys(patches, strength).__getitem__)
    return model, clip


def _check_parts(path: Path, parts: dict[str, Any]) -> None:
    if missing := [name for name, part in parts.items() if part is None]:
        more = " or --vae FILE" if missing == ["VAE"] else ""
        raise ValueError(f"{path} has no {' and no '.join(missing)}. Give a whole checkpoint{more}.")


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]

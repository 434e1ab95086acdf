"""A tiny SDXL with two LoRAs and example images, so that the search can be tried and tested without downloads.

See README.md in this folder. Importing this module is cheap; `load_tiny_sdxl` imports ComfyUI.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

ASSETS = Path(__file__).parent / "assets"


def load_tiny_sdxl(folder: Path = ASSETS) -> tuple[Any, Any, Any]:
    """The demo's model as ComfyUI's (ModelPatcher, CLIP, VAE), on the host's devices.

    folder: what `python -m appl_search.demo.making` wrote; by default what comes with the pack.

    Raises FileNotFoundError without the model file, ValueError when its keys do not fit, and ModuleNotFoundError
    without ComfyUI.
    """
    from ..host.tiny_sdxl import load

    return load(folder)


def lora_paths(folder: Path = ASSETS) -> dict[str, Path]:
    """The demo's LoRA files: "character" (attention and text encoders) and "style" (convolutions too, U-Net only)."""
    return {path.stem: path for path in sorted((folder / "loras").glob("*.safetensors"))}


def load_images(split: str, folder: Path = ASSETS) -> tuple[Tensor, list[str]]:
    """Pictures (float32 [N, 128, 128, 3] in 0..1, ComfyUI's IMAGE) of one split and their captions.

    split: "train", "heldout", "styled_train" or "styled_heldout". Raises ValueError for another name.
    """
    import numpy as np
    import torch
    from PIL import Image

    splits = sorted(path.name for path in (folder / "images").iterdir() if path.is_dir())
    if split not in splits:
        raise ValueError(f"split: {split!r}. Expected one of {splits} in {folder / 'images'}")
    files = sorted((folder / "images" / split).glob("*.png"))
    pictures = np.stack([np.asarray(Image.open(file).convert("RGB")) for file in files])
    captions = [file.with_suffix(".txt").read_text(encoding="utf-8").strip() for file in files]
    return torch.from_numpy(pictures).float() / 255, captions

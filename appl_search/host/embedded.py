"""Makes the ComfyUI that comes as a PyPI package importable where no ComfyUI is running.

The demo and the unit tests of a machine without ComfyUI use the package `notcomfy` (ComfyUI's own `comfy` folder of
November 2024). Nothing else in this project prepares imports; call `prepare()` before the first `import comfy...`.
"""

from __future__ import annotations

import importlib
import importlib.machinery
import importlib.util
import logging
import sys
import types

log = logging.getLogger("appl_search")

_UNUSED_BY_SDXL = ("torchvision", "torchaudio")


def prepare() -> None:
    """Make `import comfy` work; does nothing when a ComfyUI has been imported already.

    Puts an empty stand-in for torchvision or torchaudio into `sys.modules`, but only when the real one cannot be
    imported (its CPU and CUDA builds do not load beside another build of torch, and `comfy` imports it for models that
    are not SDXL). Selects ComfyUI's CPU mode on a machine without an accelerator.

    Raises ModuleNotFoundError when there is no `comfy` package at all.
    """
    if "comfy.model_management" in sys.modules:
        return
    if importlib.util.find_spec("comfy") is None:
        raise ModuleNotFoundError(
            "No ComfyUI: the Python package 'comfy' cannot be imported. Run `python run.py setup` to install the "
            "embedded one, or put a ComfyUI folder on the Python path.",
            name="comfy",
        )
    importlib.import_module("transformers")  # looks for torchvision itself, so it must come before a stand-in
    for name in _UNUSED_BY_SDXL:
        _stand_in_if_broken(name)
    _use_cpu_if_nothing_else()


def _stand_in_if_broken(name: str) -> None:
    try:
        importlib.import_module(name)
    except (ImportError, OSError, RuntimeError) as error:
        log.debug("%s cannot be imported (%s); an empty stand-in takes its place", name, error)
        for loaded in [key for key in sys.modules if key == name or key.startswith(f"{name}.")]:
            del sys.modules[loaded]
        stand_in = types.ModuleType(name, "An empty stand-in: SDXL does not use this package.")
        stand_in.__spec__ = importlib.machinery.ModuleSpec(name, None)
        sys.modules[name] = stand_in


def _use_cpu_if_nothing_else() -> None:
    import torch

    accelerators = (torch.cuda, torch.xpu, torch.backends.mps)
    if any(accelerator.is_available() for accelerator in accelerators):
        return
    options = importlib.import_module("comfy.cli_args").args
    options.cpu = True
    options.use_pytorch_cross_attention = True  # the fastest on a CPU; ComfyUI's default there is sub-quadratic

"""ComfyUI's own memory management: loading models, free memory, and the user's Cancel."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import psutil
import torch
from comfy import model_management

OUT_OF_MEMORY = model_management.OOM_EXCEPTION


def load(patchers: Sequence, memory: float = 0) -> None:
    """Brings models to their device with their patches, moving others out; ``memory``: bytes needed besides."""
    model_management.load_models_gpu(list(patchers), memory_required=memory)


def free_memory(where: torch.device) -> int:
    """Bytes that can be had on a device."""
    return model_management.get_free_memory(where)


def release_memory() -> None:
    """Gives cached memory back to the device."""
    model_management.soft_empty_cache(True)


def check_interrupted() -> None:
    """Raises ComfyUI's own exception when the user has pressed Cancel."""
    model_management.throw_exception_if_processing_interrupted()


def peak_memory() -> dict[str, int]:
    """Bytes that this process has had at most, by where: on the accelerator, if torch counts them there, and in main memory."""
    where = model_management.get_torch_device()
    on_device = {"on the GPU": torch.cuda.max_memory_allocated(where)} if where.type == "cuda" else {}
    return {**on_device, "of main memory": _peak_main_memory()}


def _peak_main_memory() -> int:
    """As the system tells it. Linux's getrusage would count what the process was forked from, too."""
    status = Path("/proc/self/status")
    if status.exists():
        (line,) = [line for line in status.read_text().splitlines() if line.startswith("VmHWM:")]
        return int(line.split()[1]) * 1024
    if sys.platform == "win32":
        return psutil.Process().memory_info().peak_wset
    import resource  # of Unix only

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)

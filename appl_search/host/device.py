"""ComfyUI's own memory management: loading models, free memory, and the user's Cancel."""

from __future__ import annotations

from collections.abc import Sequence

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


def peak_memory() -> int:
    """Bytes that this process has had at most on the accelerator; without one, the main memory that it has now."""
    where = model_management.get_torch_device()
    if where.type == "cuda":
        return torch.cuda.max_memory_allocated(where)
    return psutil.Process().memory_info().rss

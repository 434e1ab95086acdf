"""Search for the block weights of LoRAs on SDXL inside ComfyUI.

The public Python API. It needs ComfyUI's ``comfy`` package on the path.
"""

from .block_weights import BlockWeights
from .lora import LoraError, LoraSource
from .result import SearchResult
from .settings import PreviewSettings, SearchSettings
from .training_set import TrainingSet

__all__ = [
    "BlockWeights",
    "LoraError",
    "LoraSource",
    "PreviewSettings",
    "SearchResult",
    "SearchSettings",
    "TrainingSet",
    "evaluate",
    "search",
]


def __getattr__(name: str):
    # The loop imports the host; block weights and their formats work without one.
    if name in ("search", "evaluate"):
        from . import loop

        return getattr(loop, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

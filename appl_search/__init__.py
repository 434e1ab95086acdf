"""Search for the block weights of LoRAs on SDXL inside ComfyUI.

The public Python API. It needs ComfyUI's ``comfy`` package on the path.
"""

from .images.folder import read_training_set
from .images.options import TrainingOptions
from .images.training_set import TrainingSet
from .loras.files import LoraError, LoraSource
from .searching.result import SearchResult
from .settings import PreviewSettings, SearchSettings
from .weights.block_weights import BlockWeights

__all__ = [
    "BlockWeights",
    "LoraError",
    "LoraSource",
    "PreviewSettings",
    "SearchResult",
    "SearchSettings",
    "TrainingOptions",
    "TrainingSet",
    "evaluate",
    "read_training_set",
    "search",
]


def __getattr__(name: str):
    # The loop imports the host; block weights and their formats work without one.
    if name in ("search", "evaluate"):
        from .searching import loop

        return getattr(loop, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

"""Search for the block weights of LoRAs on SDXL inside ComfyUI.

The public Python API. It needs ComfyUI's ``comfy`` package on the path.
"""

from .gradients.task import Models, Task
from .images.folder import read_training_set
from .images.options import TrainingOptions
from .images.training_set import TrainingSet
from .loras.errors import LoraError
from .loras.rules import BlockRules
from .loras.source import LoraSource
from .searching.result import SearchResult
from .settings import PreviewSettings, SearchSettings
from .weights.block_weights import BlockWeights

__all__ = [
    "BlockRules",
    "BlockWeights",
    "LoraError",
    "LoraSource",
    "Models",
    "PreviewSettings",
    "SearchResult",
    "SearchSettings",
    "Task",
    "TrainingOptions",
    "TrainingSet",
    "compare",
    "evaluate",
    "open_search",
    "read_training_set",
    "search",
]


def __getattr__(name: str):
    # The search imports the host; block weights and their formats work without one.
    if name in ("search", "evaluate", "compare"):
        from .searching import api

        return getattr(api, name)
    if name == "open_search":
        from .searching.run import open_search

        return open_search
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

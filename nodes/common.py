"""What the nodes share: their place in the menu, their log, and how they show text."""

from __future__ import annotations

import logging
from collections.abc import Sequence

log = logging.getLogger("appl_search")

CATEGORY = "LoRA/block weights"
BLOCK_WEIGHTS = "BLOCK_WEIGHTS"  # an appl_search.SearchResult
TRAINING_IMAGES = "TRAINING_IMAGES"  # an appl_search.TrainingSet
SETTINGS = "APPL_SEARCH_SETTINGS"  # an appl_search.SearchSettings
LBW_MODEL = "LBW_MODEL"  # of ComfyUI-Inspire-Pack: {"blocks": {key: (patch, rate)}, "muted": [key, ...]}


def shown(result: tuple, text: Sequence[str] = (), warnings: Sequence[str] = (), **more: list) -> dict:
    """A node's outputs, with lines to show in the node and warnings to show there and to log."""
    for warning in warnings:
        log.warning("%s", warning)
    return {"ui": {"text": list(text), "warnings": list(warnings), **more}, "result": result}

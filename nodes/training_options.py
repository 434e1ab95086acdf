"""The node for how training images and captions are prepared."""

from __future__ import annotations

from typing import Any

from ..appl_search import TrainingOptions
from ..appl_search.settings.declaration import TRAINING
from .support.common import CATEGORY, TRAINING_OPTIONS
from .support.widgets import given, widgets


class TrainingImageOptions:
    """Makes TrainingOptions of its widgets."""

    CATEGORY = CATEGORY
    DESCRIPTION = (
        "How images and captions are prepared: size and buckets, flips and crops, alpha, what is done to captions, weights, "
        "repeats, regularisation. Without this node they are used as they are."
    )
    SEARCH_ALIASES = ["bucket", "resolution", "shuffle captions", "caption dropout", "regularization", "augmentation"]
    RETURN_TYPES = (TRAINING_OPTIONS,)
    RETURN_NAMES = ("options",)
    OUTPUT_TOOLTIPS = ("For the input of this name of the nodes that collect training images.",)
    FUNCTION = "make"

    @classmethod
    def INPUT_TYPES(cls) -> dict:
        return {"required": widgets(TrainingOptions, TRAINING)[0]}

    def make(self, **inputs: Any) -> tuple[TrainingOptions]:
        return (TrainingOptions(**given(TrainingOptions, TRAINING, inputs)),)

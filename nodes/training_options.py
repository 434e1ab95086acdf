"""The node for how training images and captions are prepared."""

from __future__ import annotations

from ..appl_search import TrainingOptions
from ..appl_search.settings.declaration import TRAINING
from .support.common import TRAINING_OPTIONS
from .support.widgets import MakesSettings


class TrainingImageOptions(MakesSettings):
    """Makes TrainingOptions of its widgets."""

    DESCRIPTION = (
        "How images and captions are prepared: size and buckets, flips and crops, alpha, what is done to captions, weights, "
        "repeats, regularisation. Without this node they are used as they are."
    )
    SEARCH_ALIASES = ["bucket", "resolution", "shuffle captions", "caption dropout", "regularization", "augmentation"]
    RETURN_TYPES = (TRAINING_OPTIONS,)
    RETURN_NAMES = ("options",)
    OUTPUT_TOOLTIPS = ("For the input of this name of the nodes that collect training images.",)
    SETTINGS, GROUP = TrainingOptions, TRAINING

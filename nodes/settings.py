"""What the search node has no widget for."""

from __future__ import annotations

from ..appl_search import SearchSettings
from ..appl_search.settings import LR_SCHEDULES
from .support.common import CATEGORY, SETTINGS


class AdvancedSettings:
    """All of SearchSettings except what the search node has widgets for, and ``init``, which the loaders have."""

    CATEGORY = CATEGORY
    DESCRIPTION = "Settings of the search that most people never need. Without this node the search uses the values shown here."
    SEARCH_ALIASES = ["learning rate", "bounds", "min snr", "block weight settings"]
    RETURN_TYPES = (SETTINGS,)
    RETURN_NAMES = ("settings",)
    OUTPUT_TOOLTIPS = ("For the search node's input of this name.",)
    FUNCTION = "make"

    @classmethod
    def INPUT_TYPES(cls) -> dict:
        default = SearchSettings()
        return {
            "required": {
                "batch_size": ("INT", {"default": default.batch_size, "min": 1, "max": 1024, "tooltip": "Samples in one step. Less needs less memory; more makes each step surer, and fewer of them."}),
                "negative_penalty": ("FLOAT", {"default": default.negative_penalty, "min": 0.0, "max": 1000.0, "step": 0.1, "tooltip": "How much more the penalty weighs on negative rates, on top of its weight on all: 10 makes them cost 11 times as much."}),
                "use_bounds": ("BOOLEAN", {"default": False, "tooltip": "Keep every rate between minimum and maximum."}),
                "minimum": ("FLOAT", {"default": 0.0, "min": -10.0, "max": 10.0, "step": 0.01, "tooltip": "The lowest rate allowed, with use_bounds."}),
                "maximum": ("FLOAT", {"default": 1.0, "min": -10.0, "max": 10.0, "step": 0.01, "tooltip": "The highest rate allowed, with use_bounds."}),
                "min_snr_gamma": ("FLOAT", {"default": 0.0, "min": 0.0, "max": 100.0, "step": 0.1, "tooltip": "Weights the loss of each timestep by min-SNR-gamma, as trainers do (5 is usual). 0: no weighting."}),
                "learning_rate": ("FLOAT", {"default": default.learning_rate, "min": 0.0001, "max": 10.0, "step": 0.0001, "tooltip": "Of the method adamw only."}),
                "lr_schedule": (list(LR_SCHEDULES), {"default": default.lr_schedule, "tooltip": "How the learning rate goes over the search: falling to 0 along a cosine, or constant. Of the method adamw only."}),
                "weight_decay": ("FLOAT", {"default": default.weight_decay, "min": 0.0, "max": 1.0, "step": 0.001, "tooltip": "Pull of every rate towards 0. Of the method adamw only."}),
            },
            "optional": {
                "tolerance": ("FLOAT", {"default": default.tolerance, "min": 0.0, "max": 0.1, "step": 0.0001, "round": False, "tooltip": "gauss-newton stops before its samples are used up when more of them can be expected to lower the loss by less than this part of it. 0: never."}),
                "validation": ("INT", {"default": default.validation, "min": 0, "max": 10000, "tooltip": "Fresh samples on which adamw compares its last rates with the mean of the later ones, and takes the better. 0: the last ones. Of the method adamw only."}),
            },
        }  # fmt: skip

    def make(
        self,
        batch_size: int,
        negative_penalty: float,
        use_bounds: bool,
        minimum: float,
        maximum: float,
        min_snr_gamma: float,
        learning_rate: float,
        lr_schedule: str,
        weight_decay: float,
        tolerance: float = SearchSettings.tolerance,
        validation: int = SearchSettings.validation,
    ) -> tuple[SearchSettings]:
        settings = SearchSettings(
            batch_size=batch_size,
            negative_penalty=negative_penalty,
            minimum=minimum if use_bounds else None,
            maximum=maximum if use_bounds else None,
            min_snr_gamma=min_snr_gamma or None,
            learning_rate=learning_rate,
            lr_schedule=lr_schedule,
            weight_decay=weight_decay,
            tolerance=tolerance,
            validation=validation,
        )
        return (settings,)

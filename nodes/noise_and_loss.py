"""The node for the noise of a search and for how errors count."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ..appl_search import SearchSettings
from ..appl_search.settings.declaration import NOISE
from .support.common import SETTINGS
from .support.widgets import MakesSettings, given


class NoiseAndLoss(MakesSettings):
    """Makes SearchSettings of its widgets; all others are those of the node before it."""

    DESCRIPTION = (
        "Which timesteps are drawn, what the noise is like, and how errors count: the options of kohya's trainers, for models that "
        "were trained with them. Search only early or only late timesteps with it. Without this node all timesteps are drawn, "
        "with plain noise and squared errors."
    )
    SEARCH_ALIASES = ["noise offset", "timestep range", "huber", "multires noise", "debiased", "min timestep"]
    RETURN_TYPES = (SETTINGS,)
    RETURN_NAMES = ("settings",)
    SETTINGS, GROUP = SearchSettings, NOISE

    @classmethod
    def INPUT_TYPES(cls) -> dict:
        inputs = super().INPUT_TYPES()
        settings = (SETTINGS, {"tooltip": "From Search Settings (Advanced), to use both."})
        return {**inputs, "optional": {**inputs["optional"], "settings": settings}}

    def make(self, settings: SearchSettings = SearchSettings(), **inputs: Any) -> tuple[SearchSettings]:
        return (replace(settings, **given(self.SETTINGS, self.GROUP, inputs)),)

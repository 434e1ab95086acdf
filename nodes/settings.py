"""The node for the less usual settings of a search."""

from __future__ import annotations

from typing import Any

from ..appl_search import SearchSettings
from ..appl_search.settings.declaration import ADVANCED
from .support.common import CATEGORY, SETTINGS
from .support.widgets import given, widgets


class AdvancedSettings:
    """Makes SearchSettings of its widgets: those that neither the search node nor the loaders show."""

    CATEGORY = CATEGORY
    DESCRIPTION = "Settings of the search that most people never need. Without this node the search uses the values shown here."
    SEARCH_ALIASES = ["learning rate", "bounds", "min snr", "block weight settings"]
    RETURN_TYPES = (SETTINGS,)
    RETURN_NAMES = ("settings",)
    OUTPUT_TOOLTIPS = ("For the search node's input of this name.",)
    FUNCTION = "make"

    @classmethod
    def INPUT_TYPES(cls) -> dict:
        required, optional = widgets(SearchSettings, ADVANCED)
        return {"required": required, "optional": optional}

    def make(self, **inputs: Any) -> tuple[SearchSettings]:
        return (SearchSettings(**given(SearchSettings, ADVANCED, inputs)),)

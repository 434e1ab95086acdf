"""The node for the less usual settings of a search."""

from __future__ import annotations

from ..appl_search import SearchSettings
from ..appl_search.settings.declaration import ADVANCED
from .support.common import SETTINGS
from .support.widgets import MakesSettings


class AdvancedSettings(MakesSettings):
    """Makes SearchSettings of its widgets: those that neither the search node nor the loaders show."""

    DESCRIPTION = "Settings of the search that most people never need. Without this node the search uses the values shown here."
    SEARCH_ALIASES = ["learning rate", "bounds", "min snr", "block weight settings"]
    RETURN_TYPES = (SETTINGS,)
    RETURN_NAMES = ("settings",)
    SETTINGS, GROUP = SearchSettings, ADVANCED

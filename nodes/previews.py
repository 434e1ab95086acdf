"""The node that chooses the preview pictures of a search."""

from __future__ import annotations

from collections.abc import Sequence

from ..appl_search import PreviewSettings
from ..appl_search.host import sampling
from ..appl_search.settings import declaration
from .support import common
from .support.widgets import MakesSettings

#: Of settings that ComfyUI has the choices for, by their names.
CHOICES = {"sampler": sampling.SAMPLERS, "scheduler": sampling.SCHEDULERS}


class SearchPreviews(MakesSettings):
    """Makes PreviewSettings of its widgets."""

    DESCRIPTION = (
        "Preview pictures while the search runs: always the same prompt and noise, with the block weights of the moment. "
        "Connect it to the search; the pictures appear in its panel and are saved beside the result."
    )
    SEARCH_ALIASES = ["preview", "progress pictures", "live preview", "block weight preview"]
    RETURN_TYPES = (common.PREVIEWS,)
    RETURN_NAMES = ("previews",)
    SETTINGS, GROUP = PreviewSettings, declaration.PREVIEWS

    @classmethod
    def choices(cls) -> dict[str, Sequence[str]]:
        return CHOICES

"""The node that chooses the preview pictures of a search."""

from __future__ import annotations

from typing import Any

from ..appl_search import PreviewSettings
from ..appl_search.host import sampling
from ..appl_search.settings import declaration
from .support import common
from .support.widgets import given, widgets


class SearchPreviews:
    """Makes PreviewSettings of its widgets."""

    CATEGORY = common.CATEGORY
    DESCRIPTION = (
        "Preview pictures while the search runs: always the same prompt and noise, with the block weights of the moment. "
        "Connect it to the search; the pictures appear in its panel and are saved beside the result."
    )
    SEARCH_ALIASES = ["preview", "progress pictures", "live preview", "block weight preview"]
    RETURN_TYPES = (common.PREVIEWS,)
    RETURN_NAMES = ("previews",)
    OUTPUT_TOOLTIPS = ("For the search node's input of this name.",)
    FUNCTION = "make"

    @classmethod
    def INPUT_TYPES(cls) -> dict:
        choices = {"sampler": sampling.SAMPLERS, "scheduler": sampling.SCHEDULERS}
        required, optional = widgets(PreviewSettings, declaration.PREVIEWS, choices)
        return {"required": required, "optional": optional}

    def make(self, **inputs: Any) -> tuple[PreviewSettings]:
        return (PreviewSettings(**given(PreviewSettings, declaration.PREVIEWS, inputs)),)

"""Nodes that draw block weights as a picture and save them as a report."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from ..appl_search import SearchResult
from ..appl_search.exploring.exploration import Exploration
from .support.common import CATEGORY, EXPLORATION, FOUND, SavesAFile, as_pictures, shown
from .support.drawn import THEME, drawn, needs_matplotlib, side
from .support.files import report_folder, write_new

_CHOICES = ("all", "bars", "loss", "penalty path", "comparison", "blocks", "likeness")  # those of appl_search.figures, which needs matplotlib


class PlotBlockWeights:
    """Draws a figure of BLOCK_WEIGHTS."""

    CATEGORY = CATEGORY
    DESCRIPTION = (
        "Draws block weights: a bar for each block with its standard error, the loss over the search, how rates and loss change "
        "with the penalty, how what was found compares with simpler choices, and what each block does."
    )
    SEARCH_ALIASES = ["lbw plot", "block weight chart", "figure", "graph"]
    RETURN_TYPES = ("IMAGE",)
    RETURN_NAMES = ("image",)
    OUTPUT_TOOLTIPS = ("The figure: to preview, save, or put beside pictures.",)
    FUNCTION = "plot"
    OUTPUT_NODE = True

    @classmethod
    def INPUT_TYPES(cls) -> dict:
        return {
            "required": {
                "block_weights": FOUND,
                "figure": (list(_CHOICES), {"tooltip": "Bars of the rates, the loss of each step, rates and loss over the penalty (gauss-newton only), losses compared with simpler choices, what each block does when, which blocks do the same; or all of them that there are."}),
                "theme": THEME,
                "width": side(800, 300),
                "height": side(2000, 200),
            },
        }  # fmt: skip

    def plot(self, block_weights: SearchResult, figure: str, theme: str, width: int, height: int) -> dict:
        def figure_of(width: float, height: float) -> Any:
            from ..appl_search.report.figures import draw

            return draw(block_weights, figure, theme, width, height)

        image, preview = drawn(figure_of, width, height)
        return shown((image,), images=[preview])


class SaveReport(SavesAFile):
    """Saves BLOCK_WEIGHTS as an HTML file."""

    DESCRIPTION = (
        "Saves a report as one HTML file in output/block_weights/reports: figures, rates with standard errors, strings for every "
        "program, settings and versions, and pictures before and after when they are connected. It never overwrites a file."
    )
    SEARCH_ALIASES = ["lbw report", "html report", "export", "document"]

    @classmethod
    def INPUT_TYPES(cls) -> dict:
        return {
            **super().INPUT_TYPES(),
            "optional": {
                "before": ("IMAGE", {"tooltip": "Pictures without the block weights, to show in the report."}),
                "after": ("IMAGE", {"tooltip": "Pictures with them."}),
                "exploration": (EXPLORATION, {"tooltip": "From Block Explorer: what each block does, with its pictures, as a section of the report."}),
            },
        }  # fmt: skip

    def save(self, block_weights: SearchResult, name: str, before=None, after=None, exploration: Exploration | None = None) -> dict:
        pictures = {caption: as_pictures(images) for caption, images in (("before", before), ("after", after)) if images is not None}
        text = report_page(block_weights, pictures, exploration)
        stem = name.strip() or "+".join(weights.name for weights in block_weights.block_weights)
        path = write_new(report_folder(), stem, ".html", lambda path: path.write_text(text, encoding="utf-8"))
        file = path.relative_to(report_folder().resolve()).as_posix()
        return shown((str(path),), [f"Saved as {path}"], appl_search_report=[file])


def report_page(result: SearchResult, pictures: Mapping[str, Sequence[Image.Image]], exploration: Exploration | None = None) -> str:
    """The report of a result as HTML. ``pictures``: by caption. ``exploration``: what each block does. Raises ModuleNotFoundError, in words, without matplotlib."""
    try:
        from ..appl_search.report.html import html_report
    except ModuleNotFoundError as error:
        raise needs_matplotlib(error) from error
    return html_report(result, pictures, _versions(), exploration)


def _versions() -> dict[str, str]:
    """The versions of the pack and of ComfyUI, by their names; ComfyUI's only where it states one."""
    found = {}
    for line in (Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8").splitlines():
        if line.startswith("version"):
            found["LoRA Block Weight Search"] = line.split('"')[1]
    comfy_version = sys.modules.get("comfyui_version")
    if comfy_version is not None:
        found["ComfyUI"] = comfy_version.__version__
    return found

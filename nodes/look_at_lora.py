"""The node that says how much a LoRA changes each block, without any picture."""

from __future__ import annotations

from typing import Any

from ..appl_search import LoraSource
from ..appl_search.host.look import look_at
from ..appl_search.loras.look import look_at_file
from ..appl_search.report.look import look_table, look_words
from .support.common import CATEGORY, shown
from .support.drawn import THEME, drawn, side
from .support.lora_files import lora_names, lora_path


class LookAtLora:
    """Keys, ranks and norms of a LoRA block by block: from its file, and from the weights that it is for."""

    CATEGORY = CATEGORY
    DESCRIPTION = (
        "Shows in about a second what a LoRA holds for each block: keys, ranks, kinds, and how much it changes the weights. No "
        "picture is needed. It does not say which blocks are of use: that is what the search is for."
    )
    SEARCH_ALIASES = ["lora info", "lora norm", "lora analyse", "inspect lora", "block norms"]
    RETURN_TYPES = ("STRING", "IMAGE")
    RETURN_NAMES = ("table", "image")
    OUTPUT_TOOLTIPS = ("A line for each block, and what they say in words.", "A bar for each block.")
    FUNCTION = "look"
    OUTPUT_NODE = True

    @classmethod
    def INPUT_TYPES(cls) -> dict:
        return {
            "required": {
                "lora_name": (lora_names(), {"tooltip": "The LoRA file to look at."}),
                "theme": THEME,
                "width": side(800, 300),
                "height": side(320, 200),
            },
            "optional": {
                "model": ("MODEL", {"tooltip": "A model that the LoRA is for: with it, changes are shown relative to its weights."}),
                "clip": ("CLIP", {"tooltip": "The checkpoint's CLIP, for LoRAs with a text-encoder part (in block BASE)."}),
            },
        }

    def look(self, lora_name: str, theme: str, width: int, height: int, model=None, clip=None) -> dict:
        source = LoraSource(lora_path(lora_name))
        if model is None and clip is not None:
            raise ValueError("There is a CLIP and no MODEL. Connect the MODEL too, or neither.")
        look = look_at_file(source) if model is None else look_at(source, model, clip)

        def figure_of(width: float, height: float) -> Any:
            from ..appl_search.report.figures import draw_look

            return draw_look(look, theme, width, height)

        image, preview = drawn(figure_of, width, height)
        table, words = "\n".join(look_table(look)), look_words(look)
        return shown((f"{table}\n\n{words}", image), [words, table], look.notes, images=[preview])

"""The node that says which blocks of a LoRA are searched, and which are fixed or share a rate."""

from __future__ import annotations

from contextlib import suppress

from ..appl_search.architectures import ARCHITECTURES
from ..appl_search.loras.rules import PRESETS, BlockRules
from .support.common import BLOCK_RULES, CATEGORY


class MakeBlockRules:
    """Makes the text that :class:`appl_search.loras.rules.BlockRules` reads, once it is known which LoRA it is for."""

    CATEGORY = CATEGORY
    DESCRIPTION = (
        "Says which blocks of a LoRA are searched, which stay at a rate of your own, and which share one. Fewer rates need fewer "
        "images, and blocks that you know need no search at all."
    )
    SEARCH_ALIASES = ["fixed blocks", "tied blocks", "b-lora", "style blocks", "freeze blocks", "lbw preset"]
    RETURN_TYPES = (BLOCK_RULES,)
    RETURN_NAMES = ("block_rules",)
    OUTPUT_TOOLTIPS = ("For the input of this name of Load LoRA (Learnable Blocks).",)
    FUNCTION = "make"

    @classmethod
    def INPUT_TYPES(cls) -> dict:
        return {
            "required": {
                "preset": (list(PRESETS), {"tooltip": "What the rules below go on from. Character and style blocks are those of B-LoRA, of SDXL only: all others are switched off."}),
                "rules": ("STRING", {"multiline": True, "default": "", "tooltip": "Rules of your own, such as IN00-IN03 = 0; MID = search; OUT03-OUT05 = same as OUT02; BASE = 0.8. They count more than the preset. To the left: blocks, ranges, sections (IN, OUT) or ALL; to the right: search, a rate, start (where the search starts), or same as and a block."}),
            },
        }  # fmt: skip

    def make(self, preset: str, rules: str) -> tuple[str]:
        text = f"{preset}; {rules}"
        _check(text)
        return (text,)


def _check(text: str) -> None:
    """Raises ValueError for a text that no architecture can read: at this node, not at the loader behind it."""
    first, *others = ARCHITECTURES.values()
    for architecture in others:
        with suppress(ValueError):
            BlockRules.parse(text, architecture)
            return
    BlockRules.parse(text, first)

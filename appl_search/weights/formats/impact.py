"""Impact Pack (and Easy-Use): Inspire's vector in a tag of a wildcard prompt."""

from __future__ import annotations

import re

from ...loras.layout import LoraLayout
from ..block_weights import BlockWeights
from .base import title
from .decimals import DEFAULT_DIGITS, read_number
from .inspire import Inspire
from .inspire_vector import LETTER_A, LETTER_B
from .tags import name_warnings, read_tag, write_tag


class Impact(Inspire):
    """``<lora:NAME:MODEL:CLIP:LBW=vector;A=4;B=1;>``; without a clip strength Easy-Use takes 1, Impact the model's.

    Source: ``extract_lora_values`` in Impact Pack's ``modules/impact/wildcards.py``.
    """

    name = "impact"
    label = "Impact Pack, Easy-Use: tag for a wildcard prompt"
    order = 40
    has_mark = True
    #: Besides the tag's own signs those that a wildcard prompt replaces before it looks for tags.
    forbidden = re.compile(r"[:<>{}\r\n]|__.+__")

    def write(self, weights: BlockWeights, digits: int = DEFAULT_DIGITS) -> str:
        return write_tag(weights.name, 2, "LBW", f"{super().write(weights, digits)};")

    def parse(self, text: str, layout: LoraLayout, A: float = LETTER_A, B: float = LETTER_B) -> BlockWeights:
        """Reads the tag; its own ``A=`` and ``B=`` go before the arguments."""
        unnamed = re.sub(r"LBW=[A-Za-z][\w-]*:", "LBW=", text, flags=re.ASCII)  # a preset's name before its vector
        vector, letters = "", {"A": A, "B": B}
        for item in read_tag(unnamed, "LBW", layout).split(";"):
            letter, equals, value = item.partition("=")
            if equals and letter in letters:
                letters[letter] = read_number(value, f"{title(layout)}, letter {letter}", plain=True)
            elif item.strip():
                vector = item
        return super().parse(vector, layout, **letters)

    def matches(self, text: str, layout: LoraLayout) -> bool:
        return "LBW=" in text

    def unused(self, text: str, layout: LoraLayout) -> list[float]:
        return []

    def warnings(self, weights: BlockWeights) -> list[str]:
        return name_warnings(weights.name, self.forbidden)

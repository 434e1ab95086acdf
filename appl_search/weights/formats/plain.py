"""The rates of all blocks, whatever blocks the LoRA has."""

from __future__ import annotations

import re

from ...loras.layout import LoraLayout
from ..block_weights import BlockWeights
from .base import Format, shortened, title
from .decimals import DEFAULT_DIGITS, read_number, write_number

#: Signs of other formats: of tags, presets, JSON, and Inspire's letters and specs.
_OTHER_SIGNS = re.compile(r"[:=%{}<>\"AaBbRrUu]|\S +\S")


class Plain(Format):
    """A number for each of :meth:`places`, separated by commas; 0 for a block that the LoRA or its model does not have."""

    name = "plain"
    label = "Numbers of all blocks: BASE, IN, MID, OUT"
    order = 10
    has_mark = False
    #: The rate of a block that a text does not name.
    unnamed = 0.0

    def places(self, layout: LoraLayout) -> tuple[str, ...]:
        """The blocks that the numbers are for."""
        return layout.architecture.blocks

    def write(self, weights: BlockWeights, digits: int = DEFAULT_DIGITS) -> str:
        return self.write_rates(weights, digits)

    def write_rates(self, weights: BlockWeights, digits: int, trim: bool = True) -> str:
        """The bare numbers; ``digits`` and ``trim`` as for :func:`write_number`."""
        rates = dict(weights.items())
        return ",".join(write_number(rates.get(place, 0.0), digits, trim) for place in self.places(weights.layout))

    def parse(self, text: str, layout: LoraLayout) -> BlockWeights:
        rates = self.rates_in(text, layout)
        return BlockWeights(layout, tuple(rates.get(block, self.unnamed) for block in layout.architecture.blocks))

    def rates_in(self, text: str, layout: LoraLayout) -> dict[str, float]:
        """The rates of a text by their places. Raises ValueError for another text."""
        places = self.places_of(text, layout)
        entries = text.split(",")
        if len(entries) != len(places):
            raise ValueError(
                f"{title(layout)}: expected {len(places)} values for format {self.name!r}: "
                f"{', '.join(places)}; got {len(entries)}: {shortened(text)}.{preset_hint(text)}"
            )
        return {
            place: read_number(entry, f"{title(layout)}, {place}")
            for place, entry in zip(places, entries, strict=True)
        }

    def places_of(self, text: str, layout: LoraLayout) -> tuple[str, ...]:
        """What the numbers of a text are for, as far as their count says it."""
        return self.places(layout)

    def matches(self, text: str, layout: LoraLayout) -> bool:
        return is_list(text) and text.count(",") + 1 == len(self.places(layout))

    def unused(self, text: str, layout: LoraLayout) -> list[float]:
        blocks = layout.architecture.blocks
        used = {name for name, there in zip(blocks, layout.present, strict=True) if there}
        used.add(blocks[0])  # BASE comes first in every format, whether a LoRA has it or not
        return [rate for place, rate in self.rates_in(text, layout).items() if place not in used]


def is_list(text: str) -> bool:
    """Whether a text has no sign of anything but numbers with commas between them."""
    return not _OTHER_SIGNS.search(text)


def preset_hint(text: str) -> str:
    """What to do about a text that is no list at all, where a list was expected; else nothing."""
    word = text.strip()
    if "," in word or not word[:1].isalpha():
        return ""
    return " A preset's name says nothing of its numbers: they are in the program's own file of presets. Give the numbers."

"""All 20 rates, whatever blocks the LoRA has."""

from __future__ import annotations

from ...architectures.blocks import BLOCK_NAMES
from ...loras.layout import LoraLayout
from ..block_weights import BlockWeights
from .base import Format, shortened, title
from .decimals import DEFAULT_DIGITS, read_number, write_number


class Plain(Format):
    """A number for each of ``places``, separated by commas; 0 for a block that the LoRA or SDXL does not have."""

    name = "plain"
    label = "20 numbers: BASE, IN00-08, MID, OUT00-08"
    places: tuple[str, ...] = BLOCK_NAMES

    def write(self, weights: BlockWeights, digits: int = DEFAULT_DIGITS) -> str:
        return self.write_rates(weights, digits)

    def write_rates(self, weights: BlockWeights, digits: int, trim: bool = True) -> str:
        """The bare numbers; ``digits`` and ``trim`` as for :func:`write_number`."""
        rates = dict(weights.items())
        return ",".join(write_number(rates.get(place, 0.0), digits, trim) for place in self.places)

    def parse(self, text: str, layout: LoraLayout) -> BlockWeights:
        entries = text.split(",")
        if len(entries) != len(self.places):
            raise ValueError(
                f"{title(layout)}: expected {len(self.places)} values for format {self.name!r}: "
                f"{', '.join(self.places)}; got {len(entries)}: {shortened(text)}."
            )
        rates = {
            place: read_number(entry, f"{title(layout)}, {place}")
            for place, entry in zip(self.places, entries, strict=True)
        }
        return BlockWeights(layout, tuple(rates[block] for block in BLOCK_NAMES))

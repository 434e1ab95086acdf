"""The rates of all blocks, whatever blocks the LoRA has."""

from __future__ import annotations

from ...loras.files import LoraLayout
from ..block_weights import BlockWeights
from .base import Format, shortened, title
from .decimals import DEFAULT_DIGITS, read_number, write_number


class Plain(Format):
    """A number for each of :meth:`places`, separated by commas; 0 for a block that the LoRA or its model does not have."""

    name = "plain"
    label = "20 numbers: BASE, IN00-08, MID, OUT00-08"

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
        entries, places = text.split(","), self.places(layout)
        if len(entries) != len(places):
            raise ValueError(
                f"{title(layout)}: expected {len(places)} values for format {self.name!r}: "
                f"{', '.join(places)}; got {len(entries)}: {shortened(text)}."
            )
        rates = {
            place: read_number(entry, f"{title(layout)}, {place}")
            for place, entry in zip(places, entries, strict=True)
        }
        return BlockWeights(layout, tuple(rates[block] for block in layout.architecture.blocks))

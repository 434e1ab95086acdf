"""The line that the published search prints."""

from __future__ import annotations

import re

from ...architectures import DEFAULT
from ...loras.layout import LoraLayout
from ..block_weights import BlockWeights
from .base import shortened, title
from .decimals import DEFAULT_DIGITS
from .plain import Plain

_LINE = re.compile(r"Network \d+ weights: *([^\r\n]*)")


class Kohya(Plain):
    """``Network 0 weights: 0.500,...`` (kohya-ss/sd-scripts, ``NetworkApplicationWeights.print_parameters``).

    The program numbers its LoRAs from 0 and prints three decimals, zeros at the end included.
    """

    name = "kohya"
    label = "sd-scripts (train_network_appl_weights.py): printed line"
    order = 90
    has_mark = True

    def write(self, weights: BlockWeights, digits: int = DEFAULT_DIGITS) -> str:
        return f"Network 0 weights: {self.write_rates(weights, digits, trim=False)}"

    def warnings(self, weights: BlockWeights) -> list[str]:
        if weights.layout.architecture == DEFAULT:
            return []
        return [f"That program is for {DEFAULT.label} only: it prints no such line for {weights.layout.architecture.label}."]

    def matches(self, text: str, layout: LoraLayout) -> bool:
        return _LINE.search(text) is not None

    def rates_in(self, text: str, layout: LoraLayout) -> dict[str, float]:
        lines = _LINE.findall(text)
        if len(lines) != 1:
            raise ValueError(
                f"{title(layout)}: expected one line 'Network 0 weights: ...', got {len(lines)} in {shortened(text)}. "
                "Give the last one of this LoRA alone."
            )
        return super().rates_in(lines[0], layout)

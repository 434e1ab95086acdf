"""Inspire Pack: the vector for ``LoraLoaderBlockWeight //Inspire``, and a line of its presets file."""

from __future__ import annotations

import re

from ...loras.layout import LoraLayout
from ..block_weights import BlockWeights
from .base import Format
from .decimals import DEFAULT_DIGITS
from .inspire_spec import spec_to_vector
from .inspire_vector import LETTER_A, LETTER_B, read_vector, unused_numbers, write_vector

_OTHER_SIGNS = re.compile(r"[:=%{}<>\"]")


class Inspire(Format):
    """The node's ``block_vector``, exact for the keys that this LoRA has. Set both strengths of the node to 1."""

    name = "inspire"
    label = "Inspire Pack: block_vector for this LoRA"
    order = 20
    has_mark = False

    def write(self, weights: BlockWeights, digits: int = DEFAULT_DIGITS) -> str:
        return write_vector(weights, digits)

    def parse(self, text: str, layout: LoraLayout, A: float = LETTER_A, B: float = LETTER_B) -> BlockWeights:
        """Reads a vector, ``NAME:vector``, or a ``%`` spec; ``A`` and ``B`` are the node's widgets of that name."""
        letters = {"A": A, "B": B}
        text = text.strip()
        if text.startswith("%"):
            return read_vector(spec_to_vector(text, layout), layout, letters, surplus=True)
        return read_vector(_vector(text), layout, letters)

    def read(self, text: str, layout: LoraLayout, **letters: float) -> BlockWeights:
        return self.parse(text, layout, **letters)

    def matches(self, text: str, layout: LoraLayout) -> bool:
        return text.lstrip().startswith("%") or not _OTHER_SIGNS.search(text)

    def unused(self, text: str, layout: LoraLayout) -> list[float]:
        return [] if text.lstrip().startswith("%") else unused_numbers(_vector(text), layout)


class InspirePreset(Inspire):
    """A line for ``resources/lbw-preset.custom.txt`` of the pack."""

    name = "inspire-preset"
    label = "Inspire Pack: line for lbw-preset.custom.txt"
    order = 30

    def write(self, weights: BlockWeights, digits: int = DEFAULT_DIGITS) -> str:
        return f"{preset_name(weights.name)}:{super().write(weights, digits)}"

    def matches(self, text: str, layout: LoraLayout) -> bool:
        return ":" in text and not _OTHER_SIGNS.search(_vector(text))

    def warnings(self, weights: BlockWeights) -> list[str]:
        name = preset_name(weights.name)
        return [] if name == weights.name else [f"A preset cannot be named {weights.name!r}; it is named {name!r}."]


def _vector(text: str) -> str:
    """A vector without the name of a preset before it."""
    return text.partition(":")[2] or text


def preset_name(name: str) -> str:
    """A name as the presets file can hold it: ":" and "," end a name there, "@" hides the line, "%" opens a spec."""
    return re.sub(r"[:,\x00-\x1f\x7f]|^\s*[@%]|^\s*$", "_", name).strip()

"""Inspire Pack: the vector for ``LoraLoaderBlockWeight //Inspire``, and a line of its presets file."""

from __future__ import annotations

import re

from ...loras.layout import LoraLayout
from ..block_weights import BlockWeights
from .base import Format
from .decimals import DEFAULT_DIGITS
from .inspire_spec import spec_to_vector
from .inspire_vector import LETTER_A, LETTER_B, read_vector, write_vector


class Inspire(Format):
    """The node's ``block_vector``, exact for the keys that this LoRA has. Set both strengths of the node to 1."""

    name = "inspire"
    label = "Inspire Pack: block_vector for this LoRA"

    def write(self, weights: BlockWeights, digits: int = DEFAULT_DIGITS) -> str:
        return write_vector(weights, digits)

    def parse(self, text: str, layout: LoraLayout, A: float = LETTER_A, B: float = LETTER_B) -> BlockWeights:
        """Reads a vector, ``NAME:vector``, or a ``%`` spec; ``A`` and ``B`` are the node's widgets of that name."""
        letters = {"A": A, "B": B}
        text = text.strip()
        if text.startswith("%"):
            return read_vector(spec_to_vector(text, layout), layout, letters, surplus=True)
        return read_vector(text.partition(":")[2] or text, layout, letters)


class InspirePreset(Inspire):
    """A line for ``resources/lbw-preset.custom.txt`` of the pack."""

    name = "inspire-preset"
    label = "Inspire Pack: line for lbw-preset.custom.txt"

    def write(self, weights: BlockWeights, digits: int = DEFAULT_DIGITS) -> str:
        return f"{preset_name(weights.name)}:{super().write(weights, digits)}"

    def warnings(self, weights: BlockWeights) -> list[str]:
        name = preset_name(weights.name)
        return [] if name == weights.name else [f"A preset cannot be named {weights.name!r}; it is named {name!r}."]


def preset_name(name: str) -> str:
    """A name as the presets file can hold it: ":" and "," end a name there, "@" hides the line, "%" opens a spec."""
    return re.sub(r"[:,\x00-\x1f\x7f]|^\s*[@%]|^\s*$", "_", name).strip()

"""Block weights as text: for every program that reads them, and back.

    write(weights, "inspire")                  the string for this LoRA
    parse(text, LoraSource("style.safetensors"))     the rates of any of these strings
    FORMATS["a1111"].warnings(weights)         what the reader will do otherwise than the rates say

A new consumer is one class in a file of its own, and its place in :data:`FORMATS`.
"""

from __future__ import annotations

from ...loras.layout import read_layout
from ...loras.source import LoraSource
from ..block_weights import TEXTS, BlockWeights
from .a1111 import A1111, A1111Tag
from .base import Format
from .decimals import DEFAULT_DIGITS
from .detect import detect
from .forge_neo import ForgeNeo
from .impact import Impact
from .inspire import Inspire, InspirePreset
from .inspire_vector import LETTER_A, LETTER_B
from .kohya import Kohya
from .named import Csv, Json
from .plain import Plain
from .sdnext import SdNext

#: Every format by its name, in the order that menus show.
FORMATS: dict[str, Format] = {
    format.name: format
    for format in (
        Plain(), Inspire(), InspirePreset(), Impact(), A1111(), A1111Tag(), ForgeNeo(), SdNext(), Kohya(), Json(), Csv()
    )
}  # fmt: skip


def write(weights: BlockWeights, format: str, digits: int = DEFAULT_DIGITS) -> str:
    """The rates as the reader of a format takes them, with up to ``digits`` decimals.

    Raises ValueError for a format that is not in :data:`FORMATS`, and unless ``digits`` is 1 to 8.
    """
    return _find(format).write(weights, digits)


def parse(
    text: str, source: LoraSource, format: str | None = None, A: float = LETTER_A, B: float = LETTER_B
) -> BlockWeights:
    """The rates that a text gives a LoRA file. Without a ``format`` :func:`detect` says which one it is.

    ``A``, ``B``: values of these letters in a vector for Inspire. Raises LoraError for the file, and ValueError
    for a text that gives this LoRA no rates; the message says what was expected.
    """
    reader = _find(format or detect(text))
    letters = {"A": A, "B": B} if isinstance(reader, Inspire) else {}
    return reader.parse(text, read_layout(source), **letters)


def _find(format: str) -> Format:
    if format not in FORMATS:
        raise ValueError(f"{format!r} is not a format of block weights. Expected one of {', '.join(FORMATS)}.")
    return FORMATS[format]


TEXTS.update(write=write, parse=parse)

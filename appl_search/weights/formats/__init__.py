"""Block weights as text: for every program that reads them, and back.

    write(weights, "inspire")                  the string for this LoRA
    parse(text, LoraSource("style.safetensors"))     the rates of any of these strings
    FORMATS["a1111"].warnings(weights)         what the reader will do otherwise than the rates say

A new consumer is one :class:`Format` with a name, in a file of its own in this folder, and nothing else.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator

from ...loras.layout import read_layout
from ...loras.source import LoraSource
from ..block_weights import BlockWeights
from ..registry import FORMATS, find_format, read
from .base import Format
from .decimals import DEFAULT_DIGITS
from .inspire_vector import LETTER_A, LETTER_B

__all__ = ["FORMATS", "Format", "find_formats", "parse", "write"]


def find_formats() -> dict[str, Format]:
    """An object of every format in this folder by its name, in the order that menus show."""
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
    named = [kind for kind in _kinds(Format) if "name" in vars(kind)]
    return {kind.name: kind() for kind in sorted(named, key=lambda kind: kind.order)}


def _kinds(kind: type[Format]) -> Iterator[type[Format]]:
    for below in kind.__subclasses__():
        yield below
        yield from _kinds(below)


FORMATS.update(find_formats())


def write(weights: BlockWeights, format: str, digits: int = DEFAULT_DIGITS) -> str:
    """The rates as the reader of a format takes them, with up to ``digits`` decimals.

    Raises ValueError for a format that is not in :data:`FORMATS`, and unless ``digits`` is 1 to 8.
    """
    return find_format(format).write(weights, digits)


def parse(
    text: str, source: LoraSource, format: str | None = None, A: float = LETTER_A, B: float = LETTER_B
) -> BlockWeights:
    """The rates that a text gives a LoRA file. Without a ``format``, :func:`appl_search.weights.registry.read` finds it.

    ``A``, ``B``: values of these letters in a vector for Inspire. Raises LoraError for the file, and ValueError
    for a text that gives this LoRA no rates or, without a format, several; the message says what was expected.
    """
    return read(text, read_layout(source), format, {"A": A, "B": B})

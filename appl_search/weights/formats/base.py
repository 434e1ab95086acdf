"""What every format has."""

from __future__ import annotations

from typing import ClassVar

from ...loras.layout import LoraLayout
from ..block_weights import BlockWeights
from ..registry import shortened, title
from .decimals import DEFAULT_DIGITS

__all__ = ["Format", "shortened", "title"]


class Format:
    """One way to write the rates of a LoRA, as one consumer reads them.

    A class in a module of this folder is found by itself when it has a ``name``: the word for it in ``to_string`` and
    on the command line. ``label``: what people call it. ``order``: its place in menus, from the lowest up.
    ``has_mark``: whether a text shows that it is in this format, by a sign that bare numbers do not have.
    """

    name: ClassVar[str]
    label: ClassVar[str]
    order: ClassVar[int]
    has_mark: ClassVar[bool] = True

    def write(self, weights: BlockWeights, digits: int = DEFAULT_DIGITS) -> str:
        """The rates as text, with up to ``digits`` decimals (1 to 8, else ValueError)."""
        raise NotImplementedError

    def parse(self, text: str, layout: LoraLayout) -> BlockWeights:
        """The inverse of :meth:`write`, for the LoRA of ``layout``; ValueError for a text that is something else."""
        raise NotImplementedError

    def read(self, text: str, layout: LoraLayout, **letters: float) -> BlockWeights:
        """:meth:`parse`, with the values of letters in a text; most formats have no letters."""
        return self.parse(text, layout)

    def matches(self, text: str, layout: LoraLayout) -> bool:
        """Whether a text for a LoRA may be in this format, so that it need not be named. Several may: all of them read it."""
        return False

    def unused(self, text: str, layout: LoraLayout) -> list[float]:
        """The numbers of a text that :meth:`parse` can read, and that rate nothing of this LoRA."""
        return []

    def warnings(self, weights: BlockWeights) -> list[str]:
        """What a reader of :meth:`write`'s text will do otherwise than these rates say; empty if nothing."""
        return []

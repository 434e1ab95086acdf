"""What every format has, and the messages they share."""

from __future__ import annotations

from typing import ClassVar

from ...loras.layout import LoraLayout
from ..block_weights import BlockWeights
from .decimals import DEFAULT_DIGITS


class Format:
    """One way to write the 20 rates of a LoRA, as one consumer reads them.

    ``name``: the word for it in ``to_string`` and on the command line. ``label``: what people call it.
    """

    name: ClassVar[str]
    label: ClassVar[str]

    def write(self, weights: BlockWeights, digits: int = DEFAULT_DIGITS) -> str:
        """The rates as text, with up to ``digits`` decimals (1 to 8, else ValueError)."""
        raise NotImplementedError

    def parse(self, text: str, layout: LoraLayout) -> BlockWeights:
        """The inverse of :meth:`write`, for the LoRA of ``layout``; ValueError for a text that is something else."""
        raise NotImplementedError

    def warnings(self, weights: BlockWeights) -> list[str]:
        """What a reader of :meth:`write`'s text will do otherwise than these rates say; empty if nothing."""
        return []


def title(layout: LoraLayout) -> str:
    """How an error message about the rates of a LoRA begins."""
    return f"Block weights of {layout.name!r}"


def shortened(text: str, most: int = 60) -> str:
    """A text as an error message quotes it."""
    return repr(text if len(text) <= most else text[: most - 1] + "…")

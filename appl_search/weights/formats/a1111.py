"""AUTOMATIC1111 and Forge: ``sd-webui-lora-block-weight``."""

from __future__ import annotations

import re

from ...architectures.blocks import BLOCK_NAMES, UNET_OTHER
from ...loras.files import LoraLayout
from ..block_weights import BlockWeights
from .base import shortened, title
from .decimals import DEFAULT_DIGITS
from .plain import Plain, is_list
from .tags import name_warnings, read_tag, write_tag

#: The blocks of the 12 numbers that its presets for SDXL have: those where attention is.
_TWELVE = ("BASE", "IN04", "IN05", "IN07", "IN08", "MID", *(f"OUT{i:02}" for i in range(6)))
_SD15 = 17


class A1111(Plain):
    """The value of ``lbw=``, or a line of its presets. Source: the extension's ``BLOCKID20``, ``BLOCKIDXLL`` and
    ``ratiodealer`` (2025).
    """

    name = "a1111"
    label = "A1111, Forge (sd-webui-lora-block-weight): 20 numbers"
    order = 50

    def rates_in(self, text: str, layout: LoraLayout) -> dict[str, float]:
        return super().rates_in(_without_name(text), layout)

    def places_of(self, text: str, layout: LoraLayout) -> tuple[str, ...]:
        count = text.count(",") + 1
        if count == _SD15:
            raise ValueError(
                f"{title(layout)}: {shortened(text)} has {_SD15} values, and that is SD 1.5, but this LoRA is for SDXL. "
                f"Expected {len(self.places)} values ({', '.join(self.places)}) or {len(_TWELVE)} ({', '.join(_TWELVE)})."
            )
        return _TWELVE if count == len(_TWELVE) else self.places

    def matches(self, text: str, layout: LoraLayout) -> bool:
        numbers = _without_name(text)
        count = numbers.count(",") + 1
        # Inspire spreads 12 numbers over what they do not name, and here that is off: only where there is no such block.
        twelve_are_all = {name for name, there in zip(BLOCK_NAMES, layout.present, strict=True) if there} <= {*_TWELVE}
        return is_list(numbers) and (count in (len(self.places), _SD15) or count == len(_TWELVE) and twelve_are_all)

    def warnings(self, weights: BlockWeights) -> list[str]:
        others = weights.layout.groups.get(UNET_OTHER, 0)
        if not others or weights["BASE"] == 1:
            return []
        return [
            f"BASE scales the text encoders only there: the {others} time_embed, label_emb and out keys of "
            f"{weights.name!r} stay at strength 1 instead of {weights['BASE']:g}."
        ]


class A1111Tag(A1111):
    """The whole tag for the prompt."""

    name = "a1111-tag"
    label = "A1111, Forge: tag for the prompt"
    order = 60
    has_mark = True
    #: A tag ends with ">", its fields with ":", and "=" makes a field a named one.
    forbidden = re.compile(r"[:<>=\r\n]")

    def write(self, weights: BlockWeights, digits: int = DEFAULT_DIGITS) -> str:
        return write_tag(weights.name, 1, "lbw", super().write(weights, digits))

    def rates_in(self, text: str, layout: LoraLayout) -> dict[str, float]:
        return super().rates_in(read_tag(text, "lbw", layout), layout)

    def matches(self, text: str, layout: LoraLayout) -> bool:
        return "lbw=" in text

    def warnings(self, weights: BlockWeights) -> list[str]:
        return [*super().warnings(weights), *name_warnings(weights.name, self.forbidden)]


def _without_name(text: str) -> str:
    """The numbers of a preset's line "NAME:numbers", or of a bare list."""
    return text.rpartition(":")[2]

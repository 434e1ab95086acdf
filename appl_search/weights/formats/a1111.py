"""AUTOMATIC1111 and Forge: ``sd-webui-lora-block-weight``."""

from __future__ import annotations

import re

from ...architectures import UNET_OTHER
from ...loras.layout import LoraLayout
from ..block_weights import BlockWeights
from .base import shortened, title
from .decimals import DEFAULT_DIGITS
from .plain import Plain, is_list
from .tags import name_warnings, read_tag, write_tag

#: The blocks of the short list of a model with so many blocks: those where attention is.
_SHORT = {
    20: ("BASE", "IN04", "IN05", "IN07", "IN08", "MID", *(f"OUT{i:02}" for i in range(6))),
    26: ("BASE", "IN01", "IN02", "IN04", "IN05", "IN07", "IN08", "MID", *(f"OUT{i:02}" for i in range(3, 12))),
}
#: What a count of values that this LoRA's model does not have may be for.
_OTHER_MODEL = {20: {17: "SD 1.5"}, 26: {12: "SDXL", 20: "SDXL"}}


class A1111(Plain):
    """The value of ``lbw=``, or a line of its presets: 20 or 12 numbers for SDXL, 26 or 17 for SD 1.5.

    Of SD 1.5, 17 where the LoRA has no other blocks: the older versions take them of ordinary LoRAs only. Source: the
    extension's ``BLOCKID26``, ``BLOCKID20``, ``BLOCKID17``, ``BLOCKID12`` and ``ratiodealer`` (2025).
    """

    name = "a1111"
    label = "A1111, Forge (sd-webui-lora-block-weight): numbers"
    order = 50

    def places(self, layout: LoraLayout) -> tuple[str, ...]:
        blocks = layout.architecture.blocks
        return _SHORT[26] if len(blocks) == 26 and _short_is_all(layout) else blocks

    def rates_in(self, text: str, layout: LoraLayout) -> dict[str, float]:
        return super().rates_in(_without_name(text), layout)

    def places_of(self, text: str, layout: LoraLayout) -> tuple[str, ...]:
        blocks = layout.architecture.blocks
        count, short = text.count(",") + 1, _SHORT[len(blocks)]
        if other := _OTHER_MODEL[len(blocks)].get(count):
            raise ValueError(
                f"{title(layout)}: {shortened(text)} has {count} values, and that is {other}, but this LoRA is for "
                f"{layout.architecture.label}. Expected {len(blocks)} values ({', '.join(blocks)}) or {len(short)} ({', '.join(short)})."
            )
        return short if count == len(short) else blocks

    def matches(self, text: str, layout: LoraLayout) -> bool:
        numbers = _without_name(text)
        count, blocks, places = numbers.count(",") + 1, len(layout.architecture.blocks), self.places(layout)
        # Inspire spreads a short list over what it does not name, and here that is off: only where there is no such block.
        fits = count == len(places) or count in _OTHER_MODEL[blocks] or count == len(_SHORT[blocks]) and _short_is_all(layout)
        return is_list(numbers) and fits

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


def _short_is_all(layout: LoraLayout) -> bool:
    """Whether the LoRA has no blocks but those of the short list."""
    blocks = layout.architecture.blocks
    return {name for name, there in zip(blocks, layout.present, strict=True) if there} <= {*_SHORT[len(blocks)]}


def _without_name(text: str) -> str:
    """The numbers of a preset's line "NAME:numbers", or of a bare list."""
    return text.rpartition(":")[2]

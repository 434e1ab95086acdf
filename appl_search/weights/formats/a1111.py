"""AUTOMATIC1111 and Forge: ``sd-webui-lora-block-weight``."""

from __future__ import annotations

import re

from ...architectures.blocks import UNET_OTHER
from ...loras.layout import LoraLayout
from ..block_weights import BlockWeights
from .decimals import DEFAULT_DIGITS
from .plain import Plain
from .tags import name_warnings, read_tag, write_tag


class A1111(Plain):
    """The value of ``lbw=``. Source: the extension's ``BLOCKID20`` and ``ratiodealer`` (2025)."""

    name = "a1111"
    label = "A1111, Forge (sd-webui-lora-block-weight): 20 numbers"

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
    #: A tag ends with ">", its fields with ":", and "=" makes a field a named one.
    forbidden = re.compile(r"[:<>=\r\n]")

    def write(self, weights: BlockWeights, digits: int = DEFAULT_DIGITS) -> str:
        return write_tag(weights.name, 1, "lbw", super().write(weights, digits))

    def parse(self, text: str, layout: LoraLayout) -> BlockWeights:
        return super().parse(read_tag(text, "lbw", layout), layout)

    def warnings(self, weights: BlockWeights) -> list[str]:
        return [*super().warnings(weights), *name_warnings(weights.name, self.forbidden)]

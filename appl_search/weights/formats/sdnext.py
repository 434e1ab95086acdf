"""SD.Next: A1111's tag, read a little differently."""

from __future__ import annotations

from ...architectures import UNET_OTHER
from ...loras.layout import LoraLayout
from ..block_weights import BlockWeights
from .a1111 import A1111Tag
from .tags import name_warnings


class SdNext(A1111Tag):
    """Source: SD.Next's ``modules/lora/lora_blocks.py`` (2026): BASE is ours but for the U-Net's last layers."""

    name = "sdnext"
    label = "SD.Next: tag for the prompt"
    order = 80
    unnamed = 1.0

    def matches(self, text: str, layout: LoraLayout) -> bool:
        return False  # the same text as A1111's tag, which more people have

    def warnings(self, weights: BlockWeights) -> list[str]:
        found = name_warnings(weights.name, self.forbidden)
        last, rate = weights.blocks[-1], weights.values[-1]
        if weights.layout.groups.get(UNET_OTHER, 0) and weights["BASE"] != rate:
            found.append(
                f"The U-Net's conv_norm_out and conv_out follow {last} there, not BASE: if "
                f"{weights.name!r} has keys for them, they get {rate:g} instead of {weights['BASE']:g}."
            )
        return found

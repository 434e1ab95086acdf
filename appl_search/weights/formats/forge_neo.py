"""Forge Neo: 26 numbers, of which SDXL has 20."""

from __future__ import annotations

from ...loras.layout import LoraLayout
from .plain import Plain


class ForgeNeo(Plain):
    """For ``lora-block-weight-neo`` (2026), which stretches a vector of 20 over its 26 places and scrambles it.

    Source: its ``SDXL_BLOCK_NAMES``: SD 1.5's twelve IN and twelve OUT blocks. Its BASE is ours.
    """

    name = "forge-neo"
    label = "Forge Neo (lora-block-weight-neo): 26 numbers"
    order = 70

    def places(self, layout: LoraLayout) -> tuple[str, ...]:
        return ("BASE", *(f"IN{i:02}" for i in range(12)), "MID", *(f"OUT{i:02}" for i in range(12)))

"""SDXL, and its relatives with the same blocks (SSD-1B, Segmind Vega, KOALA)."""

from __future__ import annotations

from .unet import unet

_CONVOLUTIONS = "convolutions at 1/8 of the picture's size"
_AT_16 = "attention and convolutions at 1/16 of the picture's size"
_AT_32 = "attention and convolutions at 1/32 of the picture's size"

SDXL = unet(
    name="sdxl",
    label="SDXL",
    levels=3,
    # There is no attention at the first level.
    absent=r"input_blocks[._][12][._]1[._]|output_blocks[._][678][._][12][._]|(?:down_blocks[._]0|up_blocks[._]2)[._]attentions",
    own=r"^lora_te[12]_",
    about=(
        "text encoders, and the U-Net's embeddings and last layer",
        "first convolution, at 1/8 of the picture's size",
        *[_CONVOLUTIONS] * 2,
        "convolution from 1/8 down to 1/16",
        *[_AT_16] * 2,
        "convolution from 1/16 down to 1/32",
        *[_AT_32] * 5,
        "attention and convolutions at 1/32, and up to 1/16",
        *[_AT_16] * 2,
        "attention and convolutions at 1/16, and up to 1/8",
        *[_CONVOLUTIONS] * 3,
    ),
    # B-LoRA (Frenkel et al., 2024): up_blocks.0.attentions.0 and .1; blora_utils.py of github.com/yardenfren1996/B-LoRA.
    content=("OUT00",),
    style=("OUT01",),
)

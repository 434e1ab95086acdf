"""Stable Diffusion 1.5, and models finetuned from 1.x: four levels, one text encoder, nothing said of sizes."""

from __future__ import annotations

from .unet import unet

_AT_8 = "attention and convolutions at 1/8 of the picture's size"
_AT_16 = "attention and convolutions at 1/16 of the picture's size"
_AT_32 = "attention and convolutions at 1/32 of the picture's size"
_AT_64 = "convolutions at 1/64 of the picture's size"

SD15 = unet(
    name="sd15",
    label="SD 1.5",
    levels=4,
    # Attention is at the first three levels and one transformer block deep, and there is no second text encoder.
    absent=(
        r"input_blocks[._]1[01][._]1[._]|output_blocks[._][01][._]1[._]|output_blocks[._]2[._](?:2|1[._](?!conv))"
        r"|(?:down_blocks[._]3|up_blocks[._]0)[._]attentions|transformer_blocks[._][1-9]"
        r"|^lora_te2_|text_encoder_2|^clip_g\.|^te2[._]|label_emb|add_embedding"
    ),
    own=r"^lora_te_",
    about=(
        "text encoder, and the U-Net's embeddings and last layer",
        "first convolution, at 1/8 of the picture's size",
        *[_AT_8] * 2,
        "convolution from 1/8 down to 1/16",
        *[_AT_16] * 2,
        "convolution from 1/16 down to 1/32",
        *[_AT_32] * 2,
        "convolution from 1/32 down to 1/64",
        *[_AT_64] * 2,
        "attention and convolutions at 1/64 of the picture's size",
        *[_AT_64] * 2,
        "convolutions at 1/64, and up to 1/32",
        *[_AT_32] * 2,
        "attention and convolutions at 1/32, and up to 1/16",
        *[_AT_16] * 2,
        "attention and convolutions at 1/16, and up to 1/8",
        *[_AT_8] * 3,
    ),
)

"""Names of keys in LoRA files: a stem that names a layer, and the ending of one of an adapter's tensors."""

from __future__ import annotations

import re
from collections.abc import Iterator

from .adapters import ENDINGS

_LENGTHS = sorted({len(ending) for ending in ENDINGS}, reverse=True)

#: What training programs put in front of a U-Net's own names: PEFT, diffusers, a whole checkpoint.
_BEFORE = re.compile(r"^(?:(?:base_model\.model|unet|model|diffusion_model)\.)+")
_UNET = re.compile(r"^(?:(?:input|output|down|up)_blocks|middle_block|mid_block|time_embed|label_emb|conv_in|conv_out|out)[._]")
#: Attention processors of old diffusers: "attn1.processor.to_q", "attn1.processor.to_out".
_PROCESSOR = re.compile(r"\.processor\.(to_[qkv]|to_out)\b")


def split_key(key: str) -> tuple[str, str] | None:
    """(stem, ending) of a key of a LoRA file, the ending as its adapter names it; None if no adapter has such a key."""
    for length in _LENGTHS:
        ending = ENDINGS.get(key[-length:])
        if ending is not None and len(key) > length:
            return key[:-length], ending
    return None


def other_names(stem: str) -> Iterator[str]:
    """The names that ComfyUI may know a stem by, the stem itself first.

    ComfyUI knows kohya's names of every layer. PEFT and diffusers write the same names with dots, behind prefixes
    of their own ("base_model.model.unet.down_blocks.0...").
    """
    yield stem
    bare = _BEFORE.sub("", stem)
    if _UNET.match(bare):
        plain = _PROCESSOR.sub(r".\1", bare)
        yield "lora_unet_" + re.sub(r"\.to_out$", ".to_out.0", plain).replace(".", "_")
    else:
        yield stem.removeprefix("base_model.model.")

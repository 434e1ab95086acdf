"""The 20 SDXL blocks that get a rate, and which of them a key belongs to.

Order and names are those of the published search (kohya-ss/sd-scripts,
``LoRANetwork.set_block_wise_weights``): BASE, IN00-08, MID, OUT00-08.
"""

from __future__ import annotations

import re

BLOCK_NAMES: tuple[str, ...] = (
    "BASE",
    *(f"IN{i:02}" for i in range(9)),
    "MID",
    *(f"OUT{i:02}" for i in range(9)),
)
NUM_BLOCKS = len(BLOCK_NAMES)
BASE, MID = 0, 10

#: The four sections that ``LoraSource(tie="sections")`` ties together.
SECTIONS: dict[str, tuple[int, ...]] = {
    "BASE": (0,),
    "IN": tuple(range(1, 10)),
    "MID": (10,),
    "OUT": tuple(range(11, 20)),
}

_CONVOLUTIONS = "convolutions at 1/8 of the picture's size"
_AT_16 = "attention and convolutions at 1/16 of the picture's size"
_AT_32 = "attention and convolutions at 1/32 of the picture's size"
#: What each block does, and where, for people to read.
ABOUT: tuple[str, ...] = (
    "text encoders, and the U-Net's embeddings and last layer",
    "first convolution, at 1/8 of the picture's size",
    *(_CONVOLUTIONS,) * 2,
    "convolution from 1/8 down to 1/16",
    *(_AT_16,) * 2,
    "convolution from 1/16 down to 1/32",
    *(_AT_32,) * 2,
    _AT_32,
    *(_AT_32,) * 2,
    "attention and convolutions at 1/32, and up to 1/16",
    *(_AT_16,) * 2,
    "attention and convolutions at 1/16, and up to 1/8",
    *(_CONVOLUTIONS,) * 3,
)

TEXT_ENCODERS = "text_encoders"
UNET_OTHER = "unet_other"

_FIRST_BLOCK = {"input_blocks": 1, "output_blocks": 11}

_LDM = re.compile(r"(?:^|[._])(input_blocks|middle_block|output_blocks)[._](\d+)(?:[._]|$)")
_DIFFUSERS = re.compile(
    r"(?:^|[._])(?:(down|up)_blocks[._](\d+)|mid_block)"
    r"[._](attentions|resnets|downsamplers|upsamplers)[._](\d+)(?:[._]|$)"
)
_TEXT = re.compile(r"^(lora_te\d?_|lora_prior_te_|text_encoders?[._]|text_encoder_2[._]|clip_[lgh]\.|te\d?[._])")
_UNET_OTHER = re.compile(
    r"^(?:lora_unet_|lora_prior_unet_|lycoris_|unet[._]|diffusion_model\.)?"
    r"(time_embed|label_emb|out[._]|time_embedding|add_embedding|class_embedding|conv_norm_out|conv_out)"
)
_CONV_IN = re.compile(r"^(?:lora_unet_|lycoris_|unet[._])?conv_in(?:$|[._])")


def block_index(name: str) -> int:
    """Position of a block name ("IN07") in the 20; ValueError for any other word."""
    try:
        return BLOCK_NAMES.index(name.upper())
    except ValueError:
        raise ValueError(f"{name!r} is not an SDXL block. Expected one of {', '.join(BLOCK_NAMES)}.") from None


def group_of_key(key: str) -> str | None:
    """The part of SDXL that a key names: a U-Net block as ComfyUI numbers it, or one of two others.

    ``key`` is a model key ("diffusion_model.input_blocks.4.1.proj_in.weight") or the stem of a
    LoRA file's key in any naming scheme (kohya, diffusers, LyCORIS, OneTrainer). Returns
    "input_blocks.N", "middle_block.N", "output_blocks.N", "text_encoders" or "unet_other"
    (time_embed, label_emb, out), and None for a key that SDXL does not have.
    """
    if _TEXT.match(key):
        return TEXT_ENCODERS
    if match := _LDM.search(key):
        section, number = match[1], int(match[2])
        limit = 3 if section == "middle_block" else 9
        return f"{section}.{number}" if number < limit else None
    if match := _DIFFUSERS.search(key):
        return _group_of_diffusers(*match.groups())
    if _CONV_IN.match(key):
        return "input_blocks.0"
    if _UNET_OTHER.match(key):
        return UNET_OTHER
    return None


def _group_of_diffusers(direction: str | None, level: str | None, kind: str, number: str) -> str | None:
    """diffusers' names of the same U-Net (``comfy.utils.unet_to_diffusers``)."""
    i = int(number)
    if direction is None:
        part = {"attentions": 1, "resnets": 2 * i}.get(kind, -1)
        return f"middle_block.{part}" if 0 <= part <= 2 and (kind == "resnets" or i == 0) else None
    if level is None or int(level) > 2:
        return None
    first = 3 * int(level)
    if direction == "down":
        block = first + (3 if kind == "downsamplers" else 1 + i)
        fits = i < 2 if kind != "downsamplers" else i == 0 and block <= 6
        return f"input_blocks.{block}" if fits else None
    block = first + (2 if kind == "upsamplers" else i)
    fits = i < 3 if kind != "upsamplers" else i == 0 and block <= 5
    return f"output_blocks.{block}" if fits else None


def block_of_group(group: str) -> int:
    """Index (0-19) of the block that a group of :func:`group_of_key` belongs to."""
    section, _, number = group.partition(".")
    if section in _FIRST_BLOCK:
        return _FIRST_BLOCK[section] + int(number)
    return MID if section == "middle_block" else BASE


def block_of_key(key: str) -> int:
    """Index (0-19) of the block of a key; ValueError for a key that SDXL does not have."""
    group = group_of_key(key)
    if group is None:
        raise ValueError(f"Key {key!r} belongs to no SDXL block: it is for another model.")
    return block_of_group(group)

"""The U-Nets of Stable Diffusion: BASE, IN00 ..., MID, OUT00 ..., and the names of their keys.

All of them have three input and three output blocks at each level, and a middle block. Order and names are those of the
published search (kohya-ss/sd-scripts, ``LoRANetwork.set_block_wise_weights``). BASE is everything outside these blocks:
text encoders, embeddings and the last layer.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from .base import Architecture, Section

TEXT_ENCODERS = "text_encoders"
UNET_OTHER = "unet_other"

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


def unet(
    name: str, label: str, levels: int, absent: str, own: str, about: tuple[str, ...],
    content: tuple[str, ...] = (), style: tuple[str, ...] = (),
) -> Architecture:  # fmt: skip
    """The architecture of a U-Net with so many ``levels``.

    ``absent``: a regular expression for names that other U-Nets have in the same scheme and this one does not.
    ``own``: one for names that only LoRAs of this family have. ``about``: a sentence for each block. ``content``, ``style``:
    as of :class:`Architecture`.
    """
    count = 3 * levels
    sections = (Section("BASE", 0, 1), Section("IN", 1, count), Section("MID", 1 + count, 1), Section("OUT", 2 + count, count))
    return Architecture(
        name=name,
        label=label,
        blocks=tuple(
            f"{section.name}{number:02}" if section.count > 1 else section.name
            for section in sections
            for number in range(section.count)
        ),
        sections=sections,
        about=about,
        group_of_key=_UNetKeys(levels, re.compile(absent)),
        section_of=dict(zip(("input_blocks", "middle_block", "output_blocks"), sections[1:])),
        own=re.compile(own),
        content=content,
        style=style,
    )


@dataclass(frozen=True)
class _UNetKeys:
    """From a key to "input_blocks.N", "middle_block.N", "output_blocks.N", TEXT_ENCODERS, UNET_OTHER, or None."""

    levels: int
    absent: re.Pattern[str]

    def __call__(self, key: str) -> str | None:
        if self.absent.search(key):
            return None
        if _TEXT.match(key):
            return TEXT_ENCODERS
        if match := _LDM.search(key):
            section, number = match[1], int(match[2])
            limit = 3 if section == "middle_block" else 3 * self.levels
            return f"{section}.{number}" if number < limit else None
        if match := _DIFFUSERS.search(key):
            return self._of_diffusers(*match.groups())
        if _CONV_IN.match(key):
            return "input_blocks.0"
        if _UNET_OTHER.match(key):
            return UNET_OTHER
        return None

    def _of_diffusers(self, direction: str | None, level: str | None, kind: str, number: str) -> str | None:
        """diffusers' names of the same U-Net (``comfy.utils.unet_to_diffusers``)."""
        i = int(number)
        if direction is None:
            part = {"attentions": 1, "resnets": 2 * i}.get(kind, -1)
            return f"middle_block.{part}" if 0 <= part <= 2 and (kind == "resnets" or i == 0) else None
        if level is None or int(level) >= self.levels:
            return None
        first, last = 3 * int(level), int(level) == self.levels - 1
        if direction == "down":
            changes_size = kind == "downsamplers"
            fits = i == 0 and not last if changes_size else i < 2
            return f"input_blocks.{first + (3 if changes_size else 1 + i)}" if fits else None
        changes_size = kind == "upsamplers"
        fits = i == 0 and not last if changes_size else i < 3
        return f"output_blocks.{first + (2 if changes_size else i)}" if fits else None

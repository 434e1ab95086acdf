"""LoRA (Hu et al., 2021), LoCon and their Tucker form, with or without weight decomposition (DoRA)."""

from __future__ import annotations

import torch

from .base import (
    ALPHA,
    DORA_SCALE,
    Adapter,
    Factors,
    Parts,
    decomposition_fits,
    is_size,
    matrix,
    require,
    same_rank,
    scale,
)

UP, DOWN, MID = ".lora_up.weight", ".lora_down.weight", ".lora_mid.weight"
#: PEFT's form of weight decomposition, which ComfyUI does not know: it takes such a LoRA for a plain one.
MAGNITUDE = ".lora_magnitude_vector"
#: The shape that ComfyUI pads the layer's weight to.
RESHAPE = ".reshape_weight"


class Lora(Adapter):
    """up [out, r] times down [r, in ...], with mid [r, r, kh, kw] in between in the Tucker form; alpha / r times."""

    name = "lora"
    endings = {
        UP: (
            "_lora.up.weight", ".lora.up.weight", ".lora_B.weight", ".lora_B.default.weight", ".lora_B",
            ".lora_linear_layer.up.weight",
        ),
        DOWN: (
            "_lora.down.weight", ".lora.down.weight", ".lora_A.weight", ".lora_A.default.weight", ".lora_A",
            ".lora_linear_layer.down.weight",
        ),
        MID: (),
        MAGNITUDE: tuple(MAGNITUDE + end for end in (".weight", ".default", ".default.weight")),
    }  # fmt: skip
    options = (ALPHA, DORA_SCALE, RESHAPE)
    scaled = ((UP,),)

    def check(self, parts: Parts) -> None:
        require(parts, UP, DOWN)
        up, down = matrix(parts, UP), matrix(parts, DOWN)
        same_rank(parts, UP, DOWN, agree=up[1:].numel() == down[0])
        if MID in parts:
            mid = matrix(parts, MID, (4,))
            same_rank(parts, UP, DOWN, MID, agree=mid[:2] == (down[0], down[0]) and down[2:].numel() == 1)

    def fits(self, parts: Parts, weight: torch.Size) -> bool:
        kernel = parts[MID].shape[2:].numel() if MID in parts else 1
        if RESHAPE in parts and parts[RESHAPE].flatten().tolist() != list(weight):
            return False
        columns = parts[DOWN].shape[1:].numel() * kernel
        return is_size(weight, parts[UP].shape[0], columns) and decomposition_fits(parts, weight)

    def factors(self, parts: Parts) -> Factors:
        up, down = parts[UP].float().flatten(1), parts[DOWN].float()
        if MID in parts:  # down is 1 x 1 and the kernel is in between
            down = torch.einsum("rmhw,mi->rihw", parts[MID].float(), down.flatten(1))
        return down, up * scale(parts, down.shape[0])

    def rank(self, parts: Parts) -> int:
        return parts[DOWN].shape[0]

    def depends_on_weight(self, parts: Parts) -> bool:
        return DORA_SCALE in parts or RESHAPE in parts

    def is_scalable(self, parts: Parts) -> bool:
        return not self.depends_on_weight(parts) and MAGNITUDE not in parts

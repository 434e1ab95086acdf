"""LoRA files with one adapter of each kind that ComfyUI loads, for layers of the oracle's SDXL."""

from __future__ import annotations

import comfy.lora  # on newer hosts this brings comfy.weight_adapter along
import torch
from torch import Tensor

LINEAR, CONV = "output_blocks_0_1_transformer_blocks_0_attn2_to_k", "input_blocks_4_0_in_layers_2"
NORM = "input_blocks_4_1_norm"
#: Shapes of the oracle's layers of these names.
SHAPES = {LINEAR: (128, 64), CONV: (64, 32, 3, 3), NORM: (64,)}
BLOCKS = {LINEAR: "OUT00", CONV: "IN04", NORM: "IN04"}


def _parts(kind: str, shape: tuple[int, ...]) -> dict[str, tuple[int, ...] | float]:
    out, rest = shape[0], shape[1:]
    flat, inner = int(torch.Size(rest).numel()), rest[0] if rest else 1
    ones = [1] * (len(shape) - 2)
    lora = {"lora_up.weight": (out, 4, *ones), "lora_down.weight": (4, *rest), "alpha": 2.0}
    return {
        "lora": lora,
        "tucker": {
            "lora_up.weight": (out, 4, 1, 1), "lora_mid.weight": (4, 4, *rest[1:]), "lora_down.weight": (4, *rest[:1], 1, 1),
            "alpha": 2.0,
        },
        "dora": lora | {"dora_scale": (out, *[1] * (len(shape) - 1))},
        "loha": {"hada_w1_a": (out, 3), "hada_w1_b": (3, flat), "hada_w2_a": (out, 3), "hada_w2_b": (3, flat), "alpha": 3.0},
        "lokr": {"lokr_w1": (4, 4), "lokr_w2_a": (out // 4, 2), "lokr_w2_b": (2, flat // 4), "alpha": 1.0},
        "glora": {"a1.weight": (2, flat), "a2.weight": (flat, 2), "b1.weight": (2, flat), "b2.weight": (out, 2), "alpha": 1.0},
        "diff": {"diff": shape, "diff_b": (out,)},
        "oft": {"oft_blocks": (out // 4, 4, 4), "alpha": 0.0},
        "boft": {"oft_blocks": (2, out // 4, 4, 4), "alpha": 0.0},
        "full lokr": {"lokr_w1": (4, 4), "lokr_w2": (out // 4, inner // 4, *rest[1:])},
        "factored lokr": {
            "lokr_w1_a": (4, 2), "lokr_w1_b": (2, 4), "lokr_w2_a": (out // 4, 2), "lokr_w2_b": (2, flat // 4), "alpha": 1.0,
        },
        "tucker loha": {
            "hada_w1_a": (3, out), "hada_w1_b": (3, inner), "hada_t1": (3, 3, *rest[1:]),
            "hada_w2_a": (3, out), "hada_w2_b": (3, inner), "hada_t2": (3, 3, *rest[1:]), "alpha": 3.0,
        },
    }[kind]  # fmt: skip


_ORTHOGONAL = ("oft", "boft") if hasattr(comfy, "weight_adapter") else ()  # ComfyUI loads them since 0.3.30

#: (kind, layer) of each case.
CASES = [
    (kind, layer)
    for layer, kinds in {
        LINEAR: ("lora", "dora", "loha", "lokr", "full lokr", "factored lokr", "glora", "diff", *_ORTHOGONAL),
        CONV: ("lora", "tucker", "dora", "loha", "tucker loha", "lokr", "full lokr", "diff", *_ORTHOGONAL),
        NORM: ("diff",),
    }.items()
    for kind in kinds
]


def tensors(kind: str, layer: str, seed: int = 0) -> dict[str, Tensor]:
    """The file's tensors, fp16, of a size that shows."""
    generator = torch.Generator().manual_seed(seed)
    out = {}
    for part, shape in _parts(kind, SHAPES[layer]).items():
        value = torch.tensor(shape) if isinstance(shape, float) else 0.3 * torch.randn(shape, generator=generator)
        if part == "dora_scale":
            value = 1 + value.abs()
        out[f"lora_unet_{layer}.{part}"] = value.half()
    return out

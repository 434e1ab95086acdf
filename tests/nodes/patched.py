"""What a MODEL's weights are once its patches are in them."""

from __future__ import annotations

import comfy.lora
import torch
from torch import Tensor


def patched_weights(patcher) -> dict[str, Tensor]:
    """Every patched weight of a ModelPatcher, as ComfyUI makes it when it loads the model: in fp32, then rounded."""
    plain = patcher.model.state_dict()
    return {
        key: comfy.lora.calculate_weight(entries, plain[key].to(torch.float32, copy=True), key).to(plain[key].dtype)
        for key, entries in patcher.patches.items()
    }


def assert_same_weights(one, other) -> None:
    """Bit for bit, and the same weights patched."""
    first, second = patched_weights(one), patched_weights(other)
    assert first.keys() == second.keys()
    for key, weight in first.items():
        assert torch.equal(weight, second[key]), key


def stock(model, path, strength: float):
    """The MODEL as ComfyUI's own LoRA loader gives it."""
    import comfy.sd
    import comfy.utils

    return comfy.sd.load_lora_for_models(model, None, comfy.utils.load_torch_file(str(path)), strength, strength)[0]

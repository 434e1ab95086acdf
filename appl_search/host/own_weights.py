"""A model's weights as its file had them, whatever is patched on them or loaded at the moment."""

from __future__ import annotations

from collections.abc import Callable

import torch
from comfy import model_management
from torch import Tensor

from .autograd import is_own_kind, own_weight


def own_weights(patcher) -> Callable[[str], Tensor]:
    """A function of a key of a ModelPatcher's model: its weight in fp32, as a copy on the model's GPU or in main memory."""
    entries = patcher.get_key_patches()
    where = patcher.load_device if patcher.load_device.type == "cuda" else torch.device("cpu")  # others lack fp64

    def weight(key: str) -> Tensor:
        layer, _, parameter = key.rpartition(".")
        if parameter == "weight" and is_own_kind(patcher.model.get_submodule(layer)):
            return own_weight(patcher.model.get_submodule(layer), torch.empty(0, device=where))
        own, convert = entries[key][0]
        return convert(model_management.cast_to_device(own, where, torch.float32, copy=True), inplace=True).float()

    return weight

"""The published program's loop, faithfully: full-size LoRA outputs, kept by autograd, scaled by a parameter.

kohya-ss/sd-scripts, branch nw_application_weights: each LoRA's module adds lora_up(lora_down(x)) *
multiplier * scale to its layer's output; the input requires a gradient; loss.backward().
"""

from __future__ import annotations

from contextlib import contextmanager

import torch
import torch.nn.functional as F

from appl_search.architectures.sdxl import SDXL
from appl_search.loras.adapters.base import scale
from appl_search.loras.adapters.lora import DOWN, UP


def factors(model, loaded) -> list[tuple]:
    """(module, up, down, scale, rate) of each key of the LoRAs, in the model's dtype and on its device."""
    out = []
    for number, lora in enumerate(loaded):
        for key, patch in lora.patches.items():
            module = model.get_submodule(key.rpartition(".")[0])
            up, down = (patch.parts[ending].to(module.weight) for ending in (UP, DOWN))
            out.append((module, up, down, scale(patch.parts, len(down)), number * len(SDXL.blocks) + SDXL.block_of_key(key)))
    return out


@contextmanager
def hooked(parts: list[tuple], weights: torch.nn.Parameter):
    """Hooks of all :func:`factors`; ``weights`` [LoRAs * blocks] are the parameter."""
    handles = [part[0].register_forward_hook(_hook(*part[1:4], weights, part[4])) for part in parts]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _hook(up, down, scale, weights, rate):
    def hook(module, inputs, output):
        if isinstance(module, torch.nn.Conv2d):
            lora = F.conv2d(F.conv2d(inputs[0], down, None, module.stride, module.padding), up)
        else:
            lora = F.linear(F.linear(inputs[0], down), up)
        return output + lora * weights[rate].to(output.dtype) * scale

    return hook

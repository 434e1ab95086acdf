"""LoRAs at given block weights, as ComfyUI's own patches on a MODEL and CLIP."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import comfy.lora
import torch
from torch import Tensor

from ..loras.errors import LoraError
from ..loras.patch import Patch
from ..loras.source import LoraSource
from ..weights.block_weights import BlockWeights
from .autograd import own_weight
from .lora_loading import LoadedLora, load, tensors_of


def apply(model, clip, lora: LoadedLora, weights: BlockWeights, strength_model: float = 1.0, strength_clip: float = 1.0):
    """MODEL and CLIP with a LoRA at its block weights, as ordinary patches; rates of 0 leave no patch."""
    in_clip, block_of_key = clip_keys(clip), weights.layout.architecture.block_of_key
    strengths = {
        key: weights.values[block_of_key(key)] * (strength_clip if key in in_clip else strength_model) for key in lora.patches
    }
    there = {key: patch for key, patch in lora.patches.items() if strengths[key] != 0}
    return add_patches(model, clip, there, strengths.__getitem__)


def lbw_model(lora: LoadedLora, weights: BlockWeights) -> dict:
    """A LoRA at its block weights as ComfyUI-Inspire-Pack's LBW_MODEL: {"blocks": {key: (patch, rate)}, "muted": [key, ...]}."""
    rates = {key: weights.values[weights.layout.architecture.block_of_key(key)] for key in lora.patches}
    return {
        "blocks": {key: (lora.patches[key].host_object, rate) for key, rate in rates.items() if rate != 0},
        "muted": [key for key, rate in rates.items() if rate == 0],
    }


def add_patches(model, clip, patches: Mapping[str, Patch], strength_of: Callable[[str], float]):
    """Clones of MODEL and CLIP with patches at the strength of each key."""
    new_model = model.clone()
    new_clip = clip.clone() if clip is not None else None
    in_clip = clip_keys(clip)
    # ComfyUI lists the whole model's keys at each call: one call for all patches of a strength.
    by_strength: dict[tuple[bool, float], dict[str, object]] = {}
    for key, patch in patches.items():
        by_strength.setdefault((key in in_clip, strength_of(key)), {})[key] = patch.host_object
    for (is_clip, strength), together in by_strength.items():
        (new_clip if is_clip else new_model).add_patches(together, strength)
    return new_model, new_clip


def strip(patcher, goes: Callable[[str, tuple], bool]) -> list[tuple]:
    """Takes the patches off a ModelPatcher of which ``goes``, told the key and ComfyUI's own entry, says so; returns the entries."""
    gone: list[tuple] = []
    for key, entries in list(patcher.patches.items()):
        going = [goes(key, entry) for entry in entries]
        if not any(going):
            continue
        gone += [entry for entry, out in zip(entries, going) if out]
        if rest := [entry for entry, out in zip(entries, going) if not out]:
            patcher.patches[key] = rest
        else:
            del patcher.patches[key]
    if gone:
        # A new identity, or the host would take the stripped patcher for the loaded one.
        patcher.add_patches({})
    return gone


def without(model, clip, lora: LoadedLora) -> tuple[Any, Any, set[float]]:
    """Clones of MODEL and CLIP without a LoRA, whoever loaded it, and the strengths that it was there at.

    It is known by its tensors.
    """
    new_model = model.clone()
    new_clip = clip.clone() if clip is not None else None

    def is_it(key: str, entry: tuple) -> bool:
        patch = lora.patches.get(key)
        return patch is not None and _same(tensors_of(entry[1]), tensors_of(patch.host_object))

    found = strip(new_model, is_it)
    if new_clip is not None:
        found += strip(new_clip.patcher, is_it)
    return new_model, new_clip, {float(entry[0]) for entry in found}


def _same(first: Sequence[Tensor], second: Sequence[Tensor]) -> bool:
    return len(first) == len(second) and all(
        one.shape == other.shape and one.dtype == other.dtype and torch.equal(one.cpu(), other.cpu()) for one, other in zip(first, second)
    )


def clip_keys(clip) -> frozenset[str]:
    """The names of a CLIP's weights; none without a CLIP."""
    return frozenset(clip.cond_stage_model.state_dict()) if clip is not None else frozenset()


def patched_weight(patches: Sequence[tuple[Patch, float]], weight: Tensor, key: str) -> Tensor:
    """A weight with patches at their strengths, one after the other, by ComfyUI's own arithmetic; in fp32 or better."""
    weight = weight.to(torch.float64 if weight.dtype == torch.float64 else torch.float32, copy=True)
    entries = [(strength, patch.host_object, 1.0, None, None) for patch, strength in patches]
    return comfy.lora.calculate_weight(entries, weight, key, intermediate_dtype=weight.dtype)


def differences(model, clip) -> Callable[[LoraSource, str, float], Tensor]:
    """What a LoRA adds to a model's weight at a rate, in fp32: a function of the LoRA, a stem of its file, and the rate.

    ``model``: ModelPatcher; ``clip``: CLIP or None. The function raises LoraError for a stem that neither has.
    """
    models = [model.model] if clip is None else [clip.cond_stage_model, model.model]
    layers = [{f"{name}.weight": layer for name, layer in each.named_modules()} for each in models]
    loaded: dict[int, LoadedLora] = {}

    def difference(source: LoraSource, stem: str, rate: float) -> Tensor:
        if id(source) not in loaded:
            loaded[id(source)] = load(source, model, clip)
        for key, patch in loaded[id(source)].patches.items():
            if patch.stem == stem and patch.whole is None:
                weight = own_weight(next(each[key] for each in layers if key in each), torch.empty(0))
                return patched_weight([(patch, rate)], weight, key) - weight
        raise LoraError(f"LoRA file {source.path}: {stem} is no key of this MODEL or CLIP. Connect those that it is for.")

    return difference

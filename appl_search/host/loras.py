"""LoRAs on ComfyUI's MODEL and CLIP: learnable ones, found ones, and what they add layer by layer."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import comfy.lora
import comfy.lora_convert
import torch
from torch import Tensor

from ..architectures import Architecture, labels
from ..loras.files import LoraError, LoraSource, read_layout, read_tensors
from ..loras.patch import Patch
from ..weights.block_weights import BlockWeights

log = logging.getLogger("appl_search")


_loading_order = itertools.count()


class LearnableRate(float):
    """A patch's strength that also says which LoRA it is to be searched for.

    ComfyUI keeps a patch's strength as it is given and copies it along with the MODEL, so a MODEL
    carries its learnable LoRAs in its ordinary patches and acts as the stock loader's everywhere.
    """

    source: LoraSource
    order: int  # of loading, over all LoRAs of this process

    def __new__(cls, value: float, source: LoraSource, order: int):
        rate = super().__new__(cls, value)
        rate.source, rate.order = source, order
        return rate

    def __deepcopy__(self, memo) -> LearnableRate:
        return self


def read_patches(source: LoraSource, model, clip) -> dict[str, Patch]:
    """What a LoRA file patches, by the model's own keys, through ComfyUI's key maps.

    ``model``: ModelPatcher; ``clip``: CLIP or None. Raises LoraError when the file fits neither.
    """
    key_map = _key_map(model, clip)
    tensors = read_tensors(Path(source.path))
    loaded = comfy.lora.load_lora(comfy.lora_convert.convert_lora(tensors), key_map)
    if not loaded:
        shown = ", ".join(list(tensors)[:3])
        raise LoraError(
            f"LoRA file {source.path}: none of its {len(tensors)} keys is a key of this MODEL or CLIP (it has {shown}). "
            f"It is for another architecture than {labels()}."
        )
    return {key: _as_patch(value) for key, value in loaded.items()}


def _key_map(model, clip) -> dict[str, str]:
    """The model's own key of each stem that a LoRA file may use."""
    key_map = comfy.lora.model_lora_keys_unet(model.model, {})
    return key_map if clip is None else comfy.lora.model_lora_keys_clip(clip.cond_stage_model, key_map)


def _as_patch(loaded) -> Patch:
    """ComfyUI gives (kind, tensors) before 2025-04, and adapter objects since."""
    if isinstance(loaded, tuple):
        kind, weights = (loaded[0], loaded[1]) if len(loaded) == 2 else ("diff", loaded)
    else:
        kind, weights = loaded.name, loaded.weights
    return Patch(kind, tuple(weights) if isinstance(weights, (tuple, list)) else (weights,), loaded)


def add_learnable(model, clip, source: LoraSource, rate: float):
    """MODEL and CLIP with a LoRA that a search will find; until then it acts at strength ``rate``."""
    read_layout(source)
    learnable = LearnableRate(rate, source, next(_loading_order))
    return _add_patches(model, clip, read_patches(source, model, clip), lambda _: learnable)


def apply(model, clip, source: LoraSource, weights: BlockWeights, strength_model: float = 1.0, strength_clip: float = 1.0):
    """MODEL and CLIP with a LoRA at its block weights, as ordinary patches; rates of 0 leave no patch.

    Keys that belong to no block are named in a warning and left out.
    """
    architecture = weights.layout.architecture
    patches = _in_blocks(source, read_patches(source, model, clip), architecture)
    in_clip = _clip_keys(clip)

    def strength(key: str) -> float:
        return weights.values[architecture.block_of_key(key)] * (strength_clip if key in in_clip else strength_model)

    return _add_patches(model, clip, patches, strength)


def lbw_model(model, clip, source: LoraSource, weights: BlockWeights) -> dict:
    """A LoRA at its block weights as ComfyUI-Inspire-Pack's LBW_MODEL: {"blocks": {key: (patch, rate)}, "muted": [key, ...]}."""
    architecture = weights.layout.architecture
    patches = _in_blocks(source, read_patches(source, model, clip), architecture)
    rates = {key: weights.values[architecture.block_of_key(key)] for key in patches}
    return {
        "blocks": {key: (patches[key].host_object, rate) for key, rate in rates.items() if rate != 0},
        "muted": [key for key, rate in rates.items() if rate == 0],
    }


def _in_blocks(source: LoraSource, patches: Mapping[str, Patch], architecture: Architecture) -> dict[str, Patch]:
    outside = [key for key in patches if architecture.group_of_key(key) is None]
    if outside:
        what = f"{len(outside)} keys belong to no {architecture.label} block and are left out: {', '.join(outside)}"
        log.warning("LoRA file %s: %s", source.path, what)
    return {key: patch for key, patch in patches.items() if key not in outside}


def _add_patches(model, clip, patches: Mapping[str, Patch], strength_of: Callable[[str], float]):
    new_model = model.clone()
    new_clip = clip.clone() if clip is not None else None
    in_clip = _clip_keys(clip)
    # ComfyUI lists the whole model's keys at each call: one call for all patches of a strength.
    by_strength: dict[tuple[bool, float], dict[str, object]] = {}
    for key, patch in patches.items():
        strength = strength_of(key)
        if strength != 0 or isinstance(strength, LearnableRate):
            by_strength.setdefault((key in in_clip, strength), {})[key] = patch.host_object
    for (is_clip, strength), together in by_strength.items():
        (new_clip if is_clip else new_model).add_patches(together, strength)
    return new_model, new_clip


def _clip_keys(clip) -> frozenset[str]:
    return frozenset(clip.cond_stage_model.state_dict()) if clip is not None else frozenset()


def split_learnable(model, clip):
    """Takes the learnable LoRAs off a MODEL and CLIP: (model, clip, their sources in loading order).

    The patchers that come back are clones; LoRAs of stock loaders stay on them.
    """
    new_model = model.clone()
    new_clip = clip.clone() if clip is not None else None
    found = _strip(new_model)
    if new_clip is not None:
        found |= _strip(new_clip.patcher)
    return new_model, new_clip, [source for _, source in sorted(found.items())]


def _strip(patcher) -> dict[int, LoraSource]:
    found = {}
    for key, entries in list(patcher.patches.items()):
        rest = [entry for entry in entries if not isinstance(entry[0], LearnableRate)]
        if len(rest) == len(entries):
            continue
        found |= {entry[0].order: entry[0].source for entry in entries if isinstance(entry[0], LearnableRate)}
        if rest:
            patcher.patches[key] = rest
        else:
            del patcher.patches[key]
    if found:
        # A new identity, or the host would take the stripped patcher for the loaded one.
        patcher.add_patches({})
    return found


def patched_weight(patches: Sequence[tuple[Patch, float]], weight: Tensor, key: str) -> Tensor:
    """A weight with patches at their strengths, one after the other, by ComfyUI's own arithmetic; in fp32 or better."""
    weight = weight.to(torch.float64 if weight.dtype == torch.float64 else torch.float32, copy=True)
    entries = [(strength, patch.host_object, 1.0, None, None) for patch, strength in patches]
    return comfy.lora.calculate_weight(entries, weight, key, intermediate_dtype=weight.dtype)


def differences(model, clip) -> Callable[[LoraSource, str, float], Tensor]:
    """What a LoRA adds to a model's weight at a rate, in fp32: a function of the LoRA, a stem of its file, and the rate.

    ``model``: ModelPatcher; ``clip``: CLIP or None. The function raises LoraError for a stem that neither has.
    """
    key_map = _key_map(model, clip)
    weights = {**(clip.cond_stage_model.state_dict() if clip is not None else {}), **model.model.state_dict()}

    def difference(source: LoraSource, stem: str, rate: float) -> Tensor:
        key = key_map.get(stem)
        if key is None:
            raise LoraError(f"LoRA file {source.path}: {stem} is no key of this MODEL or CLIP. Connect those that it is for.")
        patch = read_patches(source, model, clip)[key]
        return patched_weight([(patch, rate)], weights[key], key) - weights[key].float()

    return difference

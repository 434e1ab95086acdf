"""LoRAs at given block weights as ComfyUI's hooks: they act on the conditionings that they are set on, and on no other."""

from __future__ import annotations

from collections.abc import Sequence

from ..weights.block_weights import BlockWeights
from .compat import HAS_HOOKS
from .errors import ModelError
from .lora_loading import LoadedLora
from .lora_patches import clip_keys

#: Patches of the U-Net and of the text encoders, by the keys of the weights.
_Parts = tuple[dict[str, object], dict[str, object]]


def hooks(
    loras: Sequence[tuple[LoadedLora, BlockWeights]], clip, strength_model: float = 1.0, strength_clip: float = 1.0, previous=None,
    start_percent: float = 0.0, end_percent: float = 1.0,
):  # fmt: skip
    """A HookGroup with LoRAs at their block weights, after those of the group ``previous``, which stays as it is.

    ``clip``: the CLIP that the LoRAs were loaded for, or None. ``start_percent``, ``end_percent``: the part of sampling that they
    act in, 0 at the most noise and 1 at the least, as ComfyUI counts it: timestep 1000 (1 - percent). Set on a conditioning, they
    make of each weight what :func:`appl_search.host.lora_patches.apply` makes of it. Raises ModelError in a ComfyUI that has no
    hooks, ValueError for a part that is none.
    """
    if not 0 <= start_percent < end_percent <= 1:
        raise ValueError(f"start_percent is {start_percent} and end_percent {end_percent}, expected numbers from 0 to 1, the second above the first.")
    if not HAS_HOOKS:
        raise ModelError("This ComfyUI has no hooks: they came with version 0.3.7 (December 2024). Update it, or apply the block weights to the MODEL.")
    import comfy.hooks

    in_clip = clip_keys(clip)
    group = comfy.hooks.HookGroup() if previous is None else previous.clone()
    keyframes = _keyframes(start_percent, end_percent)
    for lora, weights in loras:
        for rate, (model_patches, clip_patches) in _by_rate(lora, weights, in_clip).items():
            # A hook has one strength for all of its weights, so there is one for each rate.
            hook = comfy.hooks.WeightHook(strength_model=rate * strength_model, strength_clip=rate * strength_clip)
            hook.weights, hook.weights_clip, hook.need_weight_init = model_patches, clip_patches, False
            hook.hook_keyframe = keyframes
            group.add(hook)
    return group


def _keyframes(start: float, end: float):
    """On from ``start`` to ``end``; none for all of sampling."""
    import comfy.hooks

    keyframes = comfy.hooks.HookKeyframeGroup()
    turns = ([(0.0, 0.0)] if start > 0 else []) + [(start, 1.0)] + ([(end, 0.0)] if end < 1 else [])
    for percent, strength in turns if len(turns) > 1 else []:
        keyframes.add(comfy.hooks.HookKeyframe(strength, percent, guarantee_steps=0))
    return keyframes


def _by_rate(lora: LoadedLora, weights: BlockWeights, in_clip: frozenset[str]) -> dict[float, _Parts]:
    """What there is to patch at each rate but 0."""
    parts: dict[float, _Parts] = {}
    for key, patch in lora.patches.items():
        rate = weights.values[weights.layout.architecture.block_of_key(key)]
        if rate != 0:
            parts.setdefault(rate, ({}, {}))[key in in_clip][key] = patch.host_object
    return parts

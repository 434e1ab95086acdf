"""What is on a MODEL besides its weights, in words: for errors."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .options import name_of

_IN_OPTIONS = (
    "model_function_wrapper", "sampler_calc_cond_batch_function", "sampler_cfg_function", "sampler_pre_cfg_function",
    "sampler_post_cfg_function", "denoise_mask_function", "context_handler",
)  # fmt: skip
#: Kinds of wrappers that each prediction goes through.
_AROUND_THE_NETWORK = ("calc_cond_batch", "apply_model", "diffusion_model")


def described(patcher) -> list[str]:
    """Each patch, wrapper and object patch of a ModelPatcher as "kind name of the function"; what cuts gradients first."""
    options = patcher.model_options
    transformer = options.get("transformer_options", {})
    found = []
    if (override := transformer.get("optimized_attention_override")) is not None:
        found.append(f"attention override {name_of(override)}")
    for kind, functions in transformer.get("patches", {}).items():
        found += [f"{kind} {name_of(function)}" for function in functions]
    for kind, by_place in transformer.get("patches_replace", {}).items():
        found += [f"{kind} replaced by {name_of(function)}" for function in by_place.values()]
    for name in _IN_OPTIONS:
        found += [f"{name} {name_of(function)}" for function in _listed(options.get(name))]
    for wrappers in (getattr(patcher, "wrappers", {}), transformer.get("wrappers", {})):
        for kind, by_key in wrappers.items():
            found += [f"wrapper {kind} {name_of(function)}" for functions in by_key.values() for function in functions]
    found += [f"object patch {name}" for name in patcher.object_patches]
    return list(dict.fromkeys(found))


def around_the_sampler(options: dict) -> list[str]:
    """Wrappers in sampling options that samplers call, and that asking the network for a prediction does not, in words."""
    wrappers = options.get("transformer_options", {}).get("wrappers", {})
    return [
        f"the wrapper {kind} {name_of(function)}"
        for kind, by_key in wrappers.items() if kind not in _AROUND_THE_NETWORK
        for functions in by_key.values() for function in functions
    ]  # fmt: skip


def _listed(value: Any) -> Iterator[Any]:
    if isinstance(value, list):
        yield from value
    elif value is not None:
        yield value

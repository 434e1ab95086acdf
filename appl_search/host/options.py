"""A MODEL's patches and wrappers, as ComfyUI's sampler would hand them to the U-Net, fit for gradients."""

from __future__ import annotations

from collections.abc import Callable

import comfy.sampler_helpers
import torch
from torch import Tensor

from . import compat
from .errors import ModelError
from .naming import name_of

#: Wrappers, by their keys, that only make sampling faster: compiled code, and what is kept from step to step.
_ONLY_FASTER = ("torch.compile", "easycache", "lazycache")


def sampling_options(patcher) -> dict:
    """The model options that ComfyUI's sampler would use; the MODEL's own are left alone."""
    options = _copied(patcher.model_options)
    transformer = options.setdefault("transformer_options", {})
    if compat.HAS_CALLBACKS:
        comfy.sampler_helpers.prepare_model_patcher(patcher, {"positive": []}, options)
    for by_key in transformer.get("wrappers", {}).values():
        for key in _ONLY_FASTER:
            by_key.pop(key, None)
    for kind, functions in transformer.get("patches", {}).items():
        transformer["patches"][kind] = [_unsparing(function) for function in functions]
    for by_place in transformer.get("patches_replace", {}).values():
        for place, function in by_place.items():
            by_place[place] = _unsparing(function)
    return options


def uncompiled(patcher):
    """The MODEL with modules in place of their compiled forms: those would compile anew for every change of a rate."""
    compiled = {name: patch._orig_mod for name, patch in patcher.object_patches.items() if hasattr(patch, "_orig_mod")}
    if not compiled:
        return patcher
    patcher = patcher.clone()
    patcher.object_patches.update(compiled)
    return patcher


def is_patched(options: dict) -> bool:
    """Whether anything but the U-Net itself takes part in a prediction.

    Such a thing may look at the noise level of the first of a batch only, or at its place in the batch.
    """
    transformer = options.get("transformer_options", {})
    parts = [transformer.get(part, {}) for part in ("patches", "patches_replace", "wrappers")]
    names = ("model_function_wrapper", "sampler_calc_cond_batch_function", "context_handler")
    return any(any(part.values()) for part in parts) or any(options.get(name) is not None for name in names)


def _copied(value):
    """Dicts and lists copied all the way down, everything else shared."""
    if isinstance(value, dict):
        return {key: _copied(each) for key, each in value.items()}
    return [_copied(each) for each in value] if isinstance(value, list) else value


def _unsparing(patch: Callable) -> Callable:
    """A patch that may write into what it is given, or into what it has computed with: autograd gets copies of both."""

    def call(*args, **kwargs):
        if not torch.is_grad_enabled():
            return patch(*args, **kwargs)
        args = [arg.clone() if isinstance(arg, Tensor) else arg for arg in args]
        try:
            with torch.autograd.graph.saved_tensors_hooks(Tensor.clone, lambda kept: kept):
                return patch(*args, **kwargs)
        except RuntimeError as error:
            if "Inference tensors" not in str(error):
                raise
            raise ModelError(
                f"The MODEL's patch {name_of(patch)} computes with tensors that were made in inference mode, which allows no "
                "gradients. Take the node that adds it off the MODEL for the search."
            ) from error

    return call

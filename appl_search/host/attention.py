"""Attention that gradients can go through."""

from __future__ import annotations

import logging

import torch
from comfy.ldm.modules import attention
from torch import Tensor

from .errors import ModelError
from .naming import name_of
from .undo import Undo

log = logging.getLogger("appl_search")

_OVERRIDE = "optimized_attention_override"
#: The host's attention functions that have a backward. Others (sage, flash, int8 kernels, those of other packs) are
#: fast forwards, and cut the graph without a word.
_DIFFERENTIABLE = ("attention_pytorch", "attention_basic", "attention_split", "attention_sub_quad", "attention_xformers")


def use_differentiable(undo: Undo) -> None:
    """The U-Net computes with PyTorch's own attention where the host's current one has no backward, until the end."""
    for name in ("optimized_attention", "optimized_attention_masked"):
        current = getattr(attention, name)
        if getattr(current, "__name__", None) not in _DIFFERENTIABLE:
            log.info("%s has no gradients: the search uses PyTorch's attention.", name_of(current))
            undo.put(vars(attention), name, attention.attention_pytorch)


def check_override(transformer_options: dict, where: torch.device, dtype: torch.dtype) -> None:
    """Takes an attention override out of the options when it is only another kernel, without gradients.

    Tried on a few tokens. Raises :class:`ModelError` for one that computes something else and has no gradients.
    """
    override = transformer_options.get(_OVERRIDE)
    if override is None:
        return
    generator = torch.Generator().manual_seed(0)
    q, k, v = (torch.randn(1, 64, 128, generator=generator).to(where, dtype).requires_grad_() for _ in range(3))
    with torch.inference_mode(False), torch.enable_grad():
        expected = attention.attention_pytorch(q.clone(), k.clone(), v.clone(), 2)
        try:
            found = override(attention.attention_pytorch, q.clone(), k.clone(), v.clone(), 2, transformer_options={})
        except Exception as error:  # it wants more than there is outside a U-Net: the gradient check judges it
            log.info("%s cannot be tried alone (%s): it is used as it is.", name_of(override), error)
            return
        if _gradients_agree(found, q, k, v):
            return
    if found.shape == expected.shape and (found - expected).norm() < 0.1 * expected.norm():
        log.info("%s has no gradients: the search uses PyTorch's attention.", name_of(override))
        del transformer_options[_OVERRIDE]
        return
    raise ModelError(
        f"The MODEL's attention override {name_of(override)} has no gradients, and computes something else than plain "
        "attention. Take the node that sets it off the MODEL for the search."
    )


def _gradients_agree(found: Tensor, q: Tensor, k: Tensor, v: Tensor) -> bool:
    """Whether what was found is connected to all three; a cut graph is not."""
    if not found.requires_grad:
        return False
    gradients = torch.autograd.grad(found.float().square().sum(), (q, k, v), allow_unused=True)
    return all(gradient is not None and gradient.any() for gradient in gradients)

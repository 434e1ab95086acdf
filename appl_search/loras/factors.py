"""Adapters as products of two factors, where they have such a form."""

from __future__ import annotations

import torch
from torch import Tensor

from .patch import Patch

Factors = tuple[Tensor, Tensor]


def low_rank_factors(patch: Patch, shape: torch.Size) -> Factors | None:
    """(down [rank, in ...], up [out, rank]) in fp32 with every scale in ``up``, for a weight [out, in ...] of ``shape``.

    None if the patch has no such form, or one that is larger than the weight itself. Factors that do not
    fit the shape are given as they are.
    """
    make = _MAKERS.get(patch.kind)
    factors = make(patch) if make is not None and not patch.depends_on_weight else None
    if factors is None:
        return None
    down, up = factors
    size = down.numel() + up.numel()
    if patch.kind != "lora" and size > shape.numel():
        return None
    kernel = (down.shape[0], *shape[1:])
    return (down.reshape(kernel) if down.numel() == torch.Size(kernel).numel() else down), up


def _lora(patch: Patch) -> Factors:
    up, down, alpha, mid, *_ = patch.weights
    up, down = up.float().flatten(1), down.float()
    if mid is not None:  # Tucker: down is 1 x 1 and the kernel is in between
        down = torch.einsum("rmhw,mi->rihw", mid.float(), down.flatten(1))
    return down, up * _scale(alpha, down.shape[0])


def _loha(patch: Patch) -> Factors | None:
    """(a1 b1) * (a2 b2) elementwise: columns of the ups, and rows of the downs, pair by pair (Khatri-Rao)."""
    a1, b1, alpha, a2, b2, core, *_ = patch.weights
    if core is not None:
        return None
    a1, b1, a2, b2 = (part.float() for part in (a1, b1, a2, b2))
    up = torch.einsum("or,os->ors", a1, a2).flatten(1)
    down = torch.einsum("ri,si->rsi", b1, b2).flatten(0, 1)
    return down, up * _scale(alpha, b1.shape[0])


def _lokr(patch: Patch) -> Factors | None:
    """kron(w1, a2 b2) = kron(w1, a2) kron(1, b2); kron(a1 b1, a2 b2) = kron(a1, a2) kron(b1, b2)."""
    w1, w2, alpha, a1, b1, a2, b2, core, *_ = patch.weights
    if w2 is not None or core is not None:
        return None
    left, right = (w1, torch.eye(w1.shape[1])) if w1 is not None else (a1, b1)
    left, right, a2, b2 = (part.float() for part in (left, right, a2, b2))
    return torch.kron(right, b2), torch.kron(left, a2) * _scale(alpha, b2.shape[0])


def _scale(alpha: float | None, rank: int) -> float:
    return 1.0 if alpha is None else float(alpha) / rank


_MAKERS = {"lora": _lora, "loha": _loha, "lokr": _lokr}

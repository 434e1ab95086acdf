"""Rounding: tensors and low-rank factors in the smallest dtype that keeps them, and what is lost."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ..loras.adapters.base import product_norm

#: Rounding that a file may have, relative to the norm: that of bf16 is within it, that of fp8 is not.
LARGEST_ERROR = 3e-3


def stored(tensor: Tensor, dtypes: Sequence[torch.dtype] = (torch.float16,)) -> tuple[Tensor, float]:
    """A tensor [any shape] in the first of the dtypes that keeps it well, else in fp16 or fp32; and its relative error."""
    exact = tensor.float()
    size = float(torch.linalg.vector_norm(exact))
    for dtype in (*dtypes, torch.float16, torch.float32):
        rounded = exact.to(dtype)
        error = float(torch.linalg.vector_norm(rounded.float() - exact)) / size if size else 0.0
        if error <= LARGEST_ERROR:  # False for NaN, which infinities give
            break
    return rounded, error


def stored_factors(up: Tensor, down: Tensor) -> tuple[Tensor, Tensor, float]:
    """Factors up [out, r], down [r, in] in fp16, or in fp32 where fp16 does not keep them; and the norm of what is lost.

    Column i of ``up`` and row i of ``down`` are made equally long first: the product is the same, and neither
    vanishes nor overflows while the other does not.
    """
    lengths = torch.linalg.vector_norm(up, dim=0), torch.linalg.vector_norm(down, dim=1)
    ratio = (lengths[1] / lengths[0]).sqrt()
    ratio = torch.where(ratio.isfinite() & (ratio > 0), ratio, 1.0)
    up, down = up * ratio, down / ratio[:, None]
    size = product_norm(up, down)
    for dtype in (torch.float16, torch.float32):
        new_up, new_down = up.to(dtype), down.to(dtype)
        up_error, down_error = up - new_up.float(), down - new_down.float()
        lost = product_norm(torch.cat([up_error, new_up.float()], 1), torch.cat([down, down_error]))
        if lost <= LARGEST_ERROR * size:
            break
    return new_up, new_down, lost


def truncated(up: Tensor, down: Tensor, rank: int) -> tuple[Tensor, Tensor, float]:
    """The best factors of ``rank`` (Eckart and Young, 1936), and the norm of what is lost."""
    # SVD of up @ down by way of two thin QRs: never the full matrix.
    q_up, r_up = torch.linalg.qr(up)
    q_down, r_down = torch.linalg.qr(down.mT)
    u, s, v = torch.linalg.svd(r_up @ r_down.mT)
    root = s[:rank].sqrt()
    return q_up @ u[:, :rank] * root, (q_down @ v[:rank].mT * root).mT, float(torch.linalg.vector_norm(s[rank:]))

"""LoHa: the elementwise product of two low-rank matrices (Hyeon-Woo et al., 2021), as LyCORIS writes it."""

from __future__ import annotations

import torch
from torch import Tensor

from .base import Adapter, Factors, Parts, decomposition_fits, is_size, matrix, norm, require, same_rank, scale

A1, B1, A2, B2, T1, T2 = ".hada_w1_a", ".hada_w1_b", ".hada_w2_a", ".hada_w2_b", ".hada_t1", ".hada_t2"


class Loha(Adapter):
    """(a1 b1) * (a2 b2), a [out, r] and b [r, in]; with cores t [r, r, kh, kw] a is [r, out]. alpha / r times."""

    name = "loha"
    endings = dict.fromkeys((A1, B1, A2, B2, T1, T2), ())
    scaled = ((A1,),)

    def check(self, parts: Parts) -> None:
        require(parts, A1, B1, A2, B2)
        if T1 in parts or T2 in parts:
            require(parts, T1, T2)
        for a, b, core in ((A1, B1, T1), (A2, B2, T2)):
            left, right = matrix(parts, a, (2,)), matrix(parts, b, (2,))
            if core in parts:
                same_rank(parts, a, b, core, agree=matrix(parts, core, (4,))[:2] == (left[0], right[0]))
            else:
                same_rank(parts, a, b, agree=left[1] == right[0])
        same_rank(parts, A1, B1, A2, B2, T1, T2, agree=_size(parts, A1, B1, T1) == _size(parts, A2, B2, T2))

    def fits(self, parts: Parts, weight: torch.Size) -> bool:
        return is_size(weight, *_size(parts, A1, B1, T1)) and decomposition_fits(parts, weight)

    def factors(self, parts: Parts) -> Factors | None:
        """Columns of the ups, and rows of the downs, pair by pair (Khatri-Rao)."""
        if T1 in parts:
            return None
        a1, b1, a2, b2 = (parts[ending].float() for ending in (A1, B1, A2, B2))
        up = torch.einsum("or,os->ors", a1, a2).flatten(1)
        down = torch.einsum("ri,si->rsi", b1, b2).flatten(0, 1)
        return down, up * scale(parts, b1.shape[0])

    def rank(self, parts: Parts) -> int:
        return parts[B1].shape[0]

    def norm(self, parts: Parts) -> float | None:
        """From the factors while they are fewer numbers than the difference has; from its elements where they are more."""
        rows, columns = _size(parts, A1, B1, T1)
        if self.depends_on_weight(parts):
            return None
        if T1 not in parts and self.rank(parts) * parts[B2].shape[0] * (rows + columns) <= rows * columns:
            return super().norm(parts)
        elements = _matrix(parts, A1, B1, T1).mul_(_matrix(parts, A2, B2, T2))
        return norm(elements) * abs(scale(parts, self.rank(parts)))


def _matrix(parts: Parts, a: str, b: str, core: str) -> Tensor:
    """One of the two matrices, or tensors where they have a core, in fp32."""
    left, right = parts[a].float(), parts[b].float()
    return left @ right if core not in parts else torch.einsum("ijhw,jr,ip->prhw", parts[core].float(), right, left)


def _size(parts: Parts, a: str, b: str, core: str) -> tuple[int, int]:
    """(rows, columns) of one of the two matrices."""
    rows, columns = parts[a].shape[1 if core in parts else 0], parts[b].shape[1]
    return rows, columns * (parts[core].shape[2:].numel() if core in parts else 1)

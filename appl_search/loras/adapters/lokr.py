"""LoKr: a Kronecker product, as LyCORIS writes it."""

from __future__ import annotations

import torch

from .base import (
    Adapter,
    Factors,
    Flaw,
    Parts,
    decomposition_fits,
    is_size,
    matrix,
    norm,
    product_norm,
    require,
    same_rank,
    scale,
)

W1, A1, B1 = ".lokr_w1", ".lokr_w1_a", ".lokr_w1_b"
W2, A2, B2, T2 = ".lokr_w2", ".lokr_w2_a", ".lokr_w2_b", ".lokr_t2"


class Lokr(Adapter):
    """kron(w1, w2), each whole or as a product a b, w2 also with a core t [r, r, kh, kw]; alpha / r times if any has a rank."""

    name = "lokr"
    endings = dict.fromkeys((W1, A1, B1, W2, A2, B2, T2), ())
    scaled = ((W1, A1),)

    def check(self, parts: Parts) -> None:
        for whole, a, b in ((W1, A1, B1), (W2, A2, B2)):
            if whole not in parts:
                if a not in parts and b not in parts:
                    raise Flaw(f"has neither {whole[1:]} nor {a[1:]} and {b[1:]}")
                require(parts, a, b)
                left, right = matrix(parts, a, (2,)), matrix(parts, b, (2,))
                core = matrix(parts, T2, (4,)) if whole == W2 and T2 in parts else None
                agree = left[1] == right[0] if core is None else core[:2] == (left[0], right[0])
                same_rank(parts, a, b, *([T2] if core else []), agree=agree)
        if W1 in parts:
            matrix(parts, W1, (2,))
        if W2 in parts:
            matrix(parts, W2, (2, 4))

    def fits(self, parts: Parts, weight: torch.Size) -> bool:
        left, right = _first(parts), _second(parts)
        return is_size(weight, left[0] * right[0], left[1] * right[1:].numel()) and decomposition_fits(parts, weight)

    def factors(self, parts: Parts) -> Factors | None:
        """kron(w1, a2 b2) = kron(w1, a2) kron(1, b2); kron(a1 b1, a2 b2) = kron(a1, a2) kron(b1, b2)."""
        if W2 in parts or T2 in parts:
            return None
        left, right = (parts[W1], torch.eye(parts[W1].shape[1])) if W1 in parts else (parts[A1], parts[B1])
        left, right, a2, b2 = (part.float() for part in (left, right, parts[A2], parts[B2]))
        return torch.kron(right, b2), torch.kron(left, a2) * scale(parts, b2.shape[0])

    def rank(self, parts: Parts) -> int | None:
        """Of the second matrix, by which the whole is scaled, or of the first where only that is a product."""
        return next((parts[b].shape[0] for b in (B2, B1) if b in parts), None)

    def norm(self, parts: Parts) -> float | None:
        """|kron(w1, w2)| = |w1| |w2|, each from its factors."""
        if self.depends_on_weight(parts):
            return None
        rank = self.rank(parts)
        return _norm(parts, W1, A1, B1) * _norm(parts, W2, A2, B2) * (abs(scale(parts, rank)) if rank else 1.0)


def _norm(parts: Parts, whole: str, a: str, b: str) -> float:
    """Frobenius norm of one of the two matrices."""
    if whole in parts:
        return norm(parts[whole])
    left, right = parts[a].double(), parts[b].double()
    if whole == W2 and T2 in parts:
        return norm(torch.einsum("ijhw,jr,ip->prhw", parts[T2].double(), right, left))
    return product_norm(left, right)


def _first(parts: Parts) -> torch.Size:
    return parts[W1].shape if W1 in parts else torch.Size((parts[A1].shape[0], parts[B1].shape[1]))


def _second(parts: Parts) -> torch.Size:
    if W2 in parts:
        return parts[W2].shape
    a, b = parts[A2].shape, parts[B2].shape
    return torch.Size((a[1], b[1], *parts[T2].shape[2:]) if T2 in parts else (a[0], b[1]))

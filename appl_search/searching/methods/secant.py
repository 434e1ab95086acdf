"""What the gradients at many places say about the curvature between them.

The Gauss-Newton matrix is the curvature of the predictions' parabola. That of the loss is another where the residuals are
large and the predictions are not linear in the rates: along a rate that saturates it can be a fifth of it, and steps by
the matrix alone would creep. From batches k at places w_k with mean gradients g_k the true curvature is the slope of a
regression of g_k on w_k; the matrix is the prior that this regression starts from.
"""

from __future__ import annotations

import torch
from torch import Tensor

#: How far the curvature is expected to be from the Gauss-Newton matrix, as a part of it: standard deviation of each element.
DEVIATION = 0.2
#: The least and the most that the regression may make of the matrix, as parts of it.
LEAST, MOST = 0.25, 3.0


class Moves:
    """Weighted means of places and gradients, and how the one moved with the other. ``place``, ``gradient`` [p]."""

    def __init__(self, p: int):
        self.place, self.gradient = torch.zeros(p, dtype=torch.float64), torch.zeros(p, dtype=torch.float64)
        self._weight = 0.0
        self._places, self._slopes = torch.zeros(p, p, dtype=torch.float64), torch.zeros(p, p, dtype=torch.float64)

    def add(self, place: Tensor, gradient: Tensor, weight: float) -> None:
        """A batch's mean ``gradient`` [p] at ``place`` [p]."""
        self._weight += weight
        part = weight / self._weight
        moved, turned = place - self.place, gradient - self.gradient
        self.place, self.gradient = self.place + part * moved, self.gradient + part * turned
        self._places = self._places + weight * (1 - part) * torch.outer(moved, moved)
        self._slopes = self._slopes + weight * (1 - part) * torch.outer(turned, moved)

    def corrected(self, curvature: Tensor, spread: Tensor, newest: float) -> Tensor:
        """The curvature [p, p] that both ``curvature`` [p, p] and the moves speak for.

        ``spread`` [p, p]: covariance of one draw's gradient; ``newest``: what a draw of the newest batch counts. In coordinates in which
        the curvature is I and the spread diagonal, the curvature sought is I + D. Each row d of D is a ridge regression
        of what the gradients did besides, with normal priors of width DEVIATION on its elements.
        """
        known = curvature.diagonal() > 0
        if not known.any() or not (spread.diagonal()[known] > 0).all():
            return curvature  # after batches of one sample nobody knows what of the gradients was luck
        axes, inverse, variances = _axes(curvature[known][:, known], spread[known][:, known])
        moves = axes.T @ self._places[known][:, known] @ axes / newest
        besides = inverse.T @ self._slopes[known][:, known] @ axes / newest - moves
        sizes, directions = torch.linalg.eigh(moves)
        rows = besides @ directions / (sizes.clamp(min=0) + variances[:, None] / DEVIATION**2) @ directions.T
        parts, directions = torch.linalg.eigh((rows + rows.T) / 2)
        more = (directions * parts.clamp(LEAST - 1, MOST - 1)) @ directions.T
        corrected = curvature.clone()
        corrected[known.nonzero(), known.nonzero().T] += axes @ more @ axes.T
        return corrected

    def state_dict(self) -> dict:
        return {
            "place": self.place, "gradient": self.gradient, "weight": self._weight, "places": self._places, "slopes": self._slopes,
        }  # fmt: skip

    def load_state_dict(self, state: dict) -> None:
        self.place, self.gradient, self._weight = state["place"], state["gradient"], state["weight"]
        self._places, self._slopes = state["places"], state["slopes"]


def _axes(curvature: Tensor, spread: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """(V, V^-T, l) with curvature = V V' and spread = V diag(l) V'."""
    values, vectors = torch.linalg.eigh(curvature)
    roots = values.clamp(min=1e-12 * float(values.max())).sqrt()
    half, inverse = vectors * roots, vectors / roots
    variances, turned = torch.linalg.eigh(inverse.T @ spread @ inverse)
    return half @ turned, inverse @ turned, variances.clamp(min=0)

"""What one batch of draws says about the search's parameters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Gradients:
    """What one batch says at the current parameters, per example and in fp64 on the CPU.

    ``losses`` [b]: weighted denoising losses; ``gradients`` [b, p]: theirs; ``probes`` [n, p]: for the
    first n examples, as many as the method asked for, J'u of the weighted prediction for one u ~ N(0, I)
    each, divided so that 2 v v' is an unbiased estimate of the example's Gauss-Newton matrix.
    """

    losses: Tensor
    gradients: Tensor
    probes: Tensor

    def of(self, rows: Sequence[int]) -> Gradients:
        """These examples alone, given in ascending order."""
        rows = list(rows)
        return Gradients(self.losses[rows], self.gradients[rows], self.probes[[row for row in rows if row < len(self.probes)]])

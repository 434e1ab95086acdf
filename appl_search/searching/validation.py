"""Which of several choices of rates is best on draws that the search has not used."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor

from ..gradients.draws import Draw


def best_of(
    candidates: Sequence[Tensor], draws: Iterable[Draw], losses: Callable[[Draw, Tensor], Tensor], penalty: Callable[[Tensor], float]
) -> Tensor:
    """The candidate with the lowest mean of ``losses(draw, candidate)`` [b] plus ``penalty(candidate)``.

    All of them see the same draws, so that their differences are far less noisy than the losses.
    """
    if len(candidates) == 1:
        return candidates[0]
    seen = torch.cat([torch.stack([losses(draw, each) for each in candidates]) for draw in draws], dim=1)
    prices = torch.tensor([penalty(each) for each in candidates], dtype=torch.float64)
    return candidates[int((seen.mean(1) + prices).argmin())]

"""The best single strength of each LoRA, for a method that has no model of the loss."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..gradients.batch import Gradients
from ..gradients.draws import Draw
from ..gradients.rates import Rates
from ..settings import SearchSettings
from .methods.gauss_newton import GaussNewton
from .penalty_path import members_of


@dataclass(frozen=True)
class _Strengths:
    """As much of Rates as a method needs: one rate for each LoRA."""

    start: Tensor
    counts: Tensor
    lower: float
    upper: float

    def __len__(self) -> int:
        return len(self.start)


def best_single(
    rates: Rates, settings: SearchSettings, draws: Iterable[Draw], gradients: Callable[[Draw, Tensor, int], Gradients]
) -> list[float]:
    """Found by gauss-newton along "every searched rate of a LoRA is the same", without penalty.

    ``gradients(draw, parameters [p], probes)``: of the search's parameters. Rates that are fixed stay so.
    """
    members = members_of(rates.parameter_of, len(rates))
    counts = members.sum(0)
    start = members.T @ rates.start / counts.clamp(min=1)
    strengths = _Strengths(start=start, counts=torch.ones_like(start), lower=rates.lower, upper=rates.upper)
    method = GaussNewton(strengths, replace(settings, penalty=0.0))
    for draw in draws:
        batch = gradients(draw, members @ method.parameters, method.probes(len(draw)))
        method.step(Gradients(batch.losses, batch.gradients @ members, batch.probes @ members))
    return method.solution().where(counts > 0, torch.zeros_like(start)).tolist()

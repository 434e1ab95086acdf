"""Models of the loss of parts of the samples: without one fold of the pictures, and of each third of the timesteps."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ..comparing.ablation import THIRD_NAMES
from ..gradients.batch import Gradients
from ..gradients.draws import Draw
from ..gradients.rates import Rates
from ..settings import SearchSettings
from .methods.loss_model import LossModel
from .methods.moments import Moments
from .methods.quadratic import Quadratic

THIRDS = len(THIRD_NAMES)


class Groups:
    """Adds up the batches of a method that probes, by groups. ``folds``: which of an epoch's examples are in each."""

    def __init__(self, rates: Rates, settings: SearchSettings, folds: Sequence[Sequence[int]], examples: int):
        self._fold_of = torch.full((examples,), -1)
        for number, fold in enumerate(folds):
            self._fold_of[list(fold)] = number
        self._without = [Moments(rates, settings) for _ in folds]
        self._thirds = [Moments(rates, settings) for _ in range(THIRDS)]

    def add(self, place: Tensor, batch: Gradients, draw: Draw) -> None:
        """A batch evaluated at the parameters ``place`` [p], with its draw."""
        folds = self._fold_of[draw.indices]
        thirds = third_of(draw.levels)
        for number, moments in enumerate(self._without):
            _add(moments, place, batch, folds != number)
        for number, moments in enumerate(self._thirds):
            _add(moments, place, batch, thirds == number)

    def without_folds(self) -> list[Quadratic] | None:
        """For each fold the model of what the search would know without it; None as long as that is nothing for one."""
        return [moments.quadratic() for moments in self._without] if all(moments.batches for moments in self._without) else None

    def by_thirds(self) -> list[LossModel | None]:
        """Of the loss in each third of the timesteps, from the least noisy one on; None where nothing was probed in it."""
        return [moments.loss_model() for moments in self._thirds]

    def state_dict(self) -> dict:
        return {str(number): moments.state_dict() for number, moments in enumerate([*self._without, *self._thirds])}

    def load_state_dict(self, state: dict) -> None:
        for number, moments in enumerate([*self._without, *self._thirds]):
            moments.load_state_dict(state[str(number)])


def third_of(levels: Tensor) -> Tensor:
    """Which third of the timesteps each level of noise [b] in 0..1 is in, from the least noisy one on."""
    return (levels * THIRDS).long().clamp(max=THIRDS - 1)


def _add(moments: Moments, place: Tensor, batch: Gradients, which: Tensor) -> None:
    if which.any():
        moments.add(place, batch.of(which.nonzero().flatten().tolist()))

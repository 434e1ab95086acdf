"""Gauss-Newton with a random probe: a few numbers per LoRA deserve their curvature.

After each batch the minimum of the running quadratic model (see :class:`.moments.Moments`) plus the penalty is found exactly,
and the rates take a damped step to it, and on to its other side.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ...gradients.batch import Gradients
from ...gradients.rates import Rates
from ...settings import SearchSettings
from .base import Method
from .moments import Moments
from .quadratic import Quadratic

DAMPING = 0.7
#: Part of each batch that gets a probe. A probe costs another backward: for the same time, half as many
#: probes and the more samples leave a fifth less of the distance to the best.
PROBED = 0.5
#: Before these, neither the curvature nor the spread of the gradients can be relied on.
FEWEST_BATCHES = 6


class GaussNewton(Method):
    """Minimises the running quadratic model plus the penalty after each batch."""

    name = "gauss-newton"
    has_model = True

    def __init__(self, rates: Rates, settings: SearchSettings):
        self._settings = settings
        self._w, self._lower, self._upper = rates.start.clone(), rates.lower, rates.upper
        self._moments = Moments(rates, settings)

    def probes(self, batch_size: int) -> int:
        return math.ceil(PROBED * batch_size)

    @property
    def parameters(self) -> Tensor:
        return self._w

    def step(self, batch: Gradients) -> None:
        self._moments.add(self._w, batch)
        self._w = self._w + DAMPING * (self._beyond(self.solution()) - self._w)

    def is_done(self) -> bool:
        if self._moments.batches < FEWEST_BATCHES or not self._settings.tolerance:
            return False
        model = self.model()
        return model.excess() < self._settings.tolerance * model.loss

    def model(self) -> Quadratic:
        return self._moments.quadratic()

    def solution(self) -> Tensor:
        if not self._moments.batches:
            return self._w
        return self.model().minimum(self._settings.penalty, self._w)

    def _beyond(self, minimum: Tensor) -> Tensor:
        """As far beyond the ``minimum`` [p] as the mean of the places lies before it, in so far as the curvature can be relied on.

        Batches that look from both sides draw the mean of the places to the minimum, and there it does not matter how wrong the
        curvature is. Along a rate with far less curvature than the matrix says, each minimum falls short of the true one, and
        batches at the minima alone would creep. Rates that rest at 0 stay there, and none changes its sign.
        """
        place = minimum + self._moments.reliance * (minimum - self._moments.place)
        return torch.where(place * minimum > 0, place, 0.0).clamp(self._lower, self._upper)

    def state_dict(self) -> dict:
        return {"parameters": self._w, "moments": self._moments.state_dict()}

    def load_state_dict(self, state: dict) -> None:
        self._w = state["parameters"]
        self._moments.load_state_dict(state["moments"])

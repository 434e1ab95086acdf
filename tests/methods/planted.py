"""A linear world with known best rates: predictions J w + e, with J and e drawn anew for each example."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from appl_search.gradients.batch import Gradients
from appl_search.searching.methods.base import Method
from appl_search.settings import SearchSettings


class PlantedRates:
    """As much of Rates as a method needs: ``count`` free rates from 0.5."""

    def __init__(self, count: int):
        self.start = torch.full((count,), 0.5, dtype=torch.float64)
        self.counts = torch.ones(count, dtype=torch.float64)
        self.lower, self.upper = -math.inf, math.inf

    def __len__(self) -> int:
        return len(self.start)


class PlantedWorld:
    """The loss |J (w - best) + e|^2 / M of examples; J has a common part, e is far larger than what rates can change."""

    outputs = 48

    def __init__(self, rates: int, seed: int = 0):
        self.draw_from(seed)
        self.best = self._random(rates).abs() * (self._random(rates) > -0.3)
        self._common = 0.05 * self._random(self.outputs, rates)

    def draw_from(self, seed: int) -> None:
        """Other examples of the same world from now on."""
        generator = torch.Generator().manual_seed(seed)
        self._random = lambda *shape: torch.randn(*shape, generator=generator, dtype=torch.float64)

    def examples(self, count: int) -> tuple[Tensor, Tensor]:
        """J [count, outputs, rates] and e [count, outputs]."""
        size = (0.5 * self._random(count, 1, 1)).exp()
        jacobians = size * (self._common + 0.05 * self._random(count, *self._common.shape))
        return jacobians, 0.3 * self._random(count, self.outputs)

    def batch(self, parameters: Tensor, count: int, probes: int) -> Gradients:
        jacobians, errors = self.examples(count)
        residuals = jacobians @ (parameters - self.best) + errors
        gradients = 2 * torch.einsum("bmp,bm->bp", jacobians, residuals) / self.outputs
        directions = torch.einsum("bmp,bm->bp", jacobians[:probes], self._random(probes, self.outputs))
        return Gradients(residuals.square().mean(1), gradients, directions / self.outputs**0.5)

    def curvature(self) -> Tensor:
        """Twice the mean of J'J / M over many examples: the Hessian of the expected loss, whose minimum is ``best``."""
        jacobians, _ = self.examples(4000)
        return 2 * torch.einsum("bmp,bmq->pq", jacobians, jacobians) / (4000 * self.outputs)

    def run(self, make, settings: SearchSettings) -> Method:
        """Searches until the samples are used up or the method is done."""
        method = make(PlantedRates(len(self.best)), settings)
        self.samples = 0
        while self.samples < settings.samples and not method.is_done():
            method.step(self.batch(method.parameters, settings.batch_size, method.probes(settings.batch_size)))
            self.samples += settings.batch_size
        return method

"""The published algorithm (kohya-ss/sd-scripts, train_network_appl_weights): AdamW on the rates."""

from __future__ import annotations

import torch
from torch import Tensor

from ..rates import Rates
from ..settings import SearchSettings
from . import Gradients


class AdamW:
    """AdamW with the penalty's subgradient added to the batch's mean gradient; bounds by projection.

    In fp32, as the published program computes. The learning rate is constant, or falls to 0 as half a
    cosine over the search's steps.
    """

    wants_probes = False

    def __init__(self, rates: Rates, settings: SearchSettings):
        self._rates, self._settings = rates, settings
        self._parameter = torch.nn.Parameter(rates.start.float())
        self._optimizer = torch.optim.AdamW(
            [self._parameter], lr=settings.learning_rate, weight_decay=settings.weight_decay
        )
        self._scheduler = None
        if settings.lr_schedule == "cosine":
            self._scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(self._optimizer, settings.steps)

    @property
    def parameters(self) -> Tensor:
        return self._parameter.detach().double()

    def step(self, batch: Gradients) -> None:
        self._parameter.grad = (batch.gradients.mean(0) + self._penalty_gradient()).float()
        self._optimizer.step()
        if self._scheduler is not None:
            self._scheduler.step()
        with torch.no_grad():
            self._parameter.clamp_(self._rates.lower, self._rates.upper)

    def _penalty_gradient(self) -> Tensor:
        w = self.parameters
        slope = torch.sign(w) - self._settings.negative_penalty * (w < 0)
        return self._settings.penalty * self._rates.counts * slope

    def solution(self) -> Tensor:
        return self.parameters

    def model(self) -> None:
        return None

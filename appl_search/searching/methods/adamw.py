"""The published algorithm (kohya-ss/sd-scripts, train_network_appl_weights): AdamW on the rates."""

from __future__ import annotations

import torch
from torch import Tensor

from ...gradients.batch import Gradients
from ...gradients.rates import Rates
from ...settings import SearchSettings


class AdamW:
    """AdamW with the penalty's subgradient added to the batch's mean gradient; bounds by projection.

    In fp32, as the published program computes. The learning rate is constant, or falls to 0 as half a
    cosine over the search's steps. The mean of the later half of the iterates (Polyak and Juditsky, 1992)
    is steadier than the last one while the learning rate is high; which is better is found by validation.
    """

    def __init__(self, rates: Rates, settings: SearchSettings):
        self._rates, self._settings = rates, settings
        self._iterates: list[Tensor] = []
        self._parameter = torch.nn.Parameter(rates.start.float())
        self._optimizer = torch.optim.AdamW(
            [self._parameter], lr=settings.learning_rate, weight_decay=settings.weight_decay
        )
        self._scheduler = None
        if settings.lr_schedule == "cosine":
            self._scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(self._optimizer, settings.steps)

    def probes(self, batch_size: int) -> int:
        return 0

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
        self._iterates.append(self.parameters)

    def _penalty_gradient(self) -> Tensor:
        w = self.parameters
        slope = torch.sign(w) - self._settings.negative_penalty * (w < 0)
        return self._settings.penalty * self._rates.counts * slope

    def solution(self) -> Tensor:
        return self.parameters

    def candidates(self) -> list[Tensor]:
        later = self._iterates[len(self._iterates) // 2 :]
        return [torch.stack(later).mean(0)] if later and self._settings.validation else []

    def is_done(self) -> bool:
        return False

    def model(self) -> None:
        return None

"""The published algorithm (kohya-ss/sd-scripts, train_network_appl_weights): AdamW on the rates."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ...gradients.batch import Gradients
from ...gradients.rates import Rates
from ...settings import SearchSettings
from .base import Method


class AdamW(Method):
    """AdamW with the penalty's subgradient added to the batch's mean gradient; bounds by projection.

    In fp32, as the published program computes. The learning rate is constant, or falls to 0 as half a
    cosine over the search's steps. The mean of the later half of the iterates (Polyak and Juditsky, 1992)
    is steadier than the last one while the learning rate is high; which is better is found by validation.
    """

    name = "adamw"

    def __init__(self, rates: Rates, settings: SearchSettings):
        self._rates, self._settings = rates, settings
        self._iterates: list[Tensor] = []
        self._parameter = torch.nn.Parameter(rates.start.float())
        self._optimizer = torch.optim.AdamW(
            [self._parameter], lr=settings.learning_rate, weight_decay=settings.weight_decay
        )

    @property
    def parameters(self) -> Tensor:
        return self._parameter.detach().double()

    def step(self, batch: Gradients) -> None:
        self._parameter.grad = (batch.gradients.mean(0) + self._penalty_gradient()).float()
        self._optimizer.param_groups[0]["lr"] = self._learning_rate()
        self._optimizer.step()
        with torch.no_grad():
            self._parameter.clamp_(self._rates.lower, self._rates.upper)
        self._iterates.append(self.parameters)

    def _learning_rate(self) -> float:
        progress = len(self._iterates) / self._settings.steps if self._settings.lr_schedule == "cosine" else 0.0
        return self._settings.learning_rate * (1 + math.cos(math.pi * progress)) / 2

    def _penalty_gradient(self) -> Tensor:
        w = self.parameters
        slope = torch.sign(w) - self._settings.negative_penalty * (w < 0)
        return self._settings.penalty * self._rates.counts * slope

    def candidates(self) -> list[Tensor]:
        later = self._iterates[len(self._iterates) // 2 :]
        return [torch.stack(later).mean(0)] if later and self._settings.validation else []

    def state_dict(self) -> dict:
        moments = self._optimizer.state[self._parameter]  # of torch's AdamW: step, exp_avg, exp_avg_sq; empty at first
        return {
            "parameter": self._parameter.detach().clone(),
            "iterates": torch.stack(self._iterates) if self._iterates else torch.empty(0, len(self._parameter)),
            "moments": {name: moment.clone() for name, moment in moments.items()},
        }

    def load_state_dict(self, state: dict) -> None:
        with torch.no_grad():
            self._parameter.copy_(state["parameter"])
        self._iterates = list(state["iterates"])
        self._optimizer.state[self._parameter] = {name: moment.clone() for name, moment in state["moments"].items()}

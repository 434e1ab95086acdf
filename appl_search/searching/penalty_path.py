"""What the final quadratic model of a search says about every other penalty."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from ..gradients.rates import spread
from .methods.quadratic import Quadratic


@dataclass(frozen=True)
class Solution:
    """Rates and standard errors [LoRAs, blocks] for one penalty, and the denoising loss predicted there."""

    penalty: float
    predicted_loss: float
    values: Tensor
    stderr: Tensor


@dataclass(frozen=True)
class SingleStrength:
    """The best that one strength for all blocks of a LoRA can do: ``strengths`` [LoRAs], and the loss predicted there."""

    strengths: tuple[float, ...]
    predicted_loss: float


@dataclass(frozen=True)
class PenaltyPath:
    """A quadratic model of the loss, and which of all rates [LoRAs, blocks] its parameters are."""

    model: Quadratic
    parameter_of: Tensor
    constant: Tensor

    def at(self, penalty: float, start: Tensor | None = None) -> Solution:
        """The minimum of the model with this penalty. Raises ValueError for one below 0 or not finite."""
        return self._solution(penalty, self._minimum(penalty, self.model.center if start is None else start))

    def grid(self, points: int) -> list[Solution]:
        """From penalty 0 to the one that switches every block off, evenly in the logarithm."""
        last = self.model.largest_penalty()
        penalties = [last * 10 ** (4 * (i / (points - 2) - 1)) for i in range(points - 1)]
        solutions, w = [], self._minimum(0.0, self.model.center)
        for penalty in [0.0, *penalties]:
            w = self._minimum(penalty, w)
            solutions.append(self._solution(penalty, w))
        return solutions

    def best_single(self) -> SingleStrength:
        """The minimum of the model, without penalty, along "every searched rate of a LoRA is the same" within the bounds.

        Rates that are fixed stay so. A LoRA without any searched rate has strength 0.
        """
        loras = len(self.parameter_of)
        members = torch.zeros(len(self.model.center), loras, dtype=torch.float64)  # 1 where a parameter is of a LoRA
        for lora, parameters in enumerate(self.parameter_of):
            members[parameters[parameters >= 0], lora] = 1
        zero = torch.zeros(loras, dtype=torch.float64)
        along = Quadratic(
            zero,
            self.model.predicted_loss(members @ zero),
            members.T @ (self.model.gradient - self.model.hessian @ self.model.center),
            members.T @ self.model.hessian @ members,
            torch.diag(zero),
            torch.ones_like(zero),
            self.model.negative_penalty,
            self.model.lower,
            self.model.upper,
        )
        strengths = along.minimum(0.0, zero)
        return SingleStrength(tuple(strengths.tolist()), along.predicted_loss(strengths))

    def _minimum(self, penalty: float, start: Tensor) -> Tensor:
        if not (math.isfinite(penalty) and penalty >= 0):
            raise ValueError(f"penalty is {penalty!r}, expected a number of at least 0.")
        return self.model.minimum(penalty, start)

    def _solution(self, penalty: float, w: Tensor) -> Solution:
        values = spread(w, self.parameter_of, self.constant)
        return Solution(penalty, self.model.predicted_loss(w), values, self.stderr(w))

    def stderr(self, w: Tensor) -> Tensor:
        """Standard errors [LoRAs, blocks] of a minimum w [p]; NaN where there is none."""
        unknown = torch.full_like(self.constant, math.nan)
        return spread(self.model.stderr(w), self.parameter_of, unknown)

    def to_dict(self) -> dict:
        """JSON-ready; infinite bounds become None, and the rates of all LoRAs one list."""
        model = {field.name: _plain(getattr(self.model, field.name)) for field in fields(Quadratic)}
        rates = {"parameter_of": self.parameter_of.flatten().tolist(), "constant": self.constant.flatten().tolist()}
        return {"model": model, **rates}

    @classmethod
    def from_dict(cls, data: Mapping, loras: int) -> PenaltyPath:
        """The inverse of :meth:`to_dict`, for a search of so many LoRAs."""
        model = {
            name: torch.tensor(value, dtype=torch.float64) if isinstance(value, list) else value
            for name, value in data["model"].items()
        }
        model["lower"] = -math.inf if model["lower"] is None else model["lower"]
        model["upper"] = math.inf if model["upper"] is None else model["upper"]
        return cls(
            Quadratic(**model),
            torch.tensor(data["parameter_of"]).view(loras, -1),
            torch.tensor(data["constant"], dtype=torch.float64).view(loras, -1),
        )


def _plain(value: Tensor | float) -> list | float | None:
    if isinstance(value, Tensor):
        return value.tolist()
    return value if math.isfinite(value) else None

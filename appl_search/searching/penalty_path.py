"""What the final quadratic model of a search says about every other penalty."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from ..gradients.rates import spread
from ..weights.fields import Fields, whole, wrong
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
        members = members_of(self.parameter_of, len(self.model.center))
        zero = torch.zeros(len(self.parameter_of), dtype=torch.float64)
        along = Quadratic(
            center=zero,
            loss=self.model.predicted_loss(members @ zero),
            gradient=members.T @ (self.model.gradient - self.model.hessian @ self.model.center),
            hessian=members.T @ self.model.hessian @ members,
            noise=torch.diag(zero),
            counts=torch.ones_like(zero),
            negative_penalty=self.model.negative_penalty,
            lower=self.model.lower,
            upper=self.model.upper,
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
    def from_fields(cls, fields: Fields, shape: tuple[int, int]) -> PenaltyPath:
        """The inverse of :meth:`to_dict`, for a search of ``shape`` LoRAs, blocks. ValueError names the field that is wrong."""
        model = fields.object("model")
        center = model.tensor("center", [None])
        parameters = len(center)
        quadratic = Quadratic(
            center=center,
            loss=model.number("loss"),
            gradient=model.tensor("gradient", [parameters]),
            hessian=model.tensor("hessian", [parameters, parameters]),
            noise=model.tensor("noise", [parameters, parameters]),
            counts=model.tensor("counts", [parameters]),
            negative_penalty=model.number("negative_penalty", 0),
            lower=model.number("lower") if model.has("lower") else -math.inf,
            upper=model.number("upper") if model.has("upper") else math.inf,
        )
        if quadratic.lower > quadratic.upper or (quadratic.counts < 1).any():
            raise ValueError(f"{model.place('lower')} is above upper, or one of counts is below 1.")
        rates = shape[0] * shape[1]
        of = fields.list("parameter_of")
        if len(of) != rates:
            raise wrong(fields.place("parameter_of"), of, f"a list of {rates}")
        of = [whole(one, f"{fields.place('parameter_of')}[{i}]", -1, parameters - 1) for i, one in enumerate(of)]
        return cls(quadratic, torch.tensor(of).view(shape), fields.tensor("constant", [rates]).view(shape))


def members_of(parameter_of: Tensor, parameters: int) -> Tensor:
    """[p, LoRAs]: 1 where a parameter is of a LoRA. ``parameter_of`` [LoRAs, blocks]: -1 for rates that are none."""
    members = torch.zeros(parameters, len(parameter_of), dtype=torch.float64)
    for lora, of in enumerate(parameter_of):
        members[of[of >= 0], lora] = 1
    return members


def _plain(value: Tensor | float) -> list | float | None:
    if isinstance(value, Tensor):
        return value.tolist()
    return value if math.isfinite(value) else None

"""The running quadratic model of the loss that a search's batches add up to.

Per example there is the gradient g = J'(2r/M), and for a part of them a probe v = J'u, u ~ N(0, I);
2 v v'/M is an unbiased estimate of the Gauss-Newton matrix 2 J'J/M. (The empirical Fisher matrix g g' is not: the
residuals r are far from isotropic.) Over the batches run weighted means of the curvature H, of the
place w and of the gradient g there; the model is

    g . (w - place) + (w - place)' H (w - place) / 2.

Keeping place and gradient apart, instead of averaging H_k w_k - g_k, keeps the probes' noise out of the mean: H only
ever multiplies the small difference w - place.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ...gradients.batch import Gradients
from ...gradients.rates import Rates
from ...settings import SearchSettings
from .loss_model import LossModel
from .quadratic import Quadratic

FORGETTING_FROM = 0.6
#: How far from their start rates are expected, as a standard deviation.
PRIOR = 1.0


class Moments:
    """Running means over batches, or over parts of them. ``batches``: how many there were."""

    def __init__(self, rates: Rates, settings: SearchSettings):
        self._rates, self._settings = rates, settings
        p = len(rates)
        self.batches = 0
        self._curvature, self._spread = _Mean(p, p), _Mean(p, p)
        self._place, self._gradient, self._loss = _Mean(p), _Mean(p), _Mean()
        self._squares, self._fourths = _Mean(p, p), _Mean(p)
        self._means = {
            "curvature": self._curvature, "spread": self._spread, "squares": self._squares, "fourths": self._fourths,
            "place": self._place, "gradient": self._gradient, "loss": self._loss,
        }  # fmt: skip

    def add(self, place: Tensor, batch: Gradients) -> None:
        """A batch evaluated at the parameters ``place`` [p]."""
        size = len(batch.losses)
        self.batches += 1
        progress = self.batches / max(self._settings.steps, 1)
        keep = FORGETTING_FROM + (1 - FORGETTING_FROM) * min(1.0, 2 * progress)
        mean = batch.gradients.mean(0)
        if probed := len(batch.probes):
            self._curvature.add(2 * batch.probes.T @ batch.probes / probed, probed, keep**0.5)
            self._fourths.add(4 * batch.probes.pow(4).mean(0), probed, keep**0.5)
        centered = batch.gradients - mean
        self._place.add(place, size, keep)
        self._gradient.add(mean, size, keep)
        self._loss.add(batch.losses.mean(), size, keep)
        self._spread.add(centered.T @ centered / max(size - 1, 1), size, keep)
        self._squares.add(batch.gradients.T @ batch.gradients / size, size, keep)

    def quadratic(self) -> Quadratic:
        """The quadratic model of the loss around the mean place; after the first batch.

        The curvature is an average of some n outer products; like any such covariance it is shrunk
        towards its diagonal, by p / (p + n), so that it can be relied on from the first batch on. And
        where the draws say little about a rate it stays near its start: see :meth:`_ridge`.
        """
        shrink = len(self._rates) / (len(self._rates) + self._curvature.weight)
        curvature = torch.lerp(self._curvature.value, torch.diag(self._curvature.value.diagonal()), shrink)
        noise = self._spread.value / self._gradient.effective
        ridge = self._ridge(curvature.diagonal(), noise.diagonal())
        return Quadratic(
            center=self._place.value,
            loss=float(self._loss.value),
            gradient=self._gradient.value + ridge * (self._place.value - self._rates.start),
            hessian=curvature + torch.diag(ridge),
            noise=noise,
            counts=self._rates.counts,
            negative_penalty=self._settings.negative_penalty,
            lower=self._rates.lower,
            upper=self._rates.upper,
        )

    def loss_model(self) -> LossModel | None:
        """What the batches say of the loss itself; None before the first probe.

        Without what :meth:`quadratic` adds to be relied on early, the shrinkage and the pull to the start: neither is a part
        of the loss. The gradient's covariance is that over all samples, so that it is there for batches of one sample too;
        what the mean itself has moved counts as noise in it.
        """
        if not self._curvature.weight:
            return None
        mean, effective = self._gradient.value, self._gradient.effective
        return LossModel(
            place=self._place.value,
            loss=float(self._loss.value),
            gradient=mean,
            curvature=self._curvature.value,
            noise=(self._squares.value - mean[:, None] * mean) / max(effective - 1, 1.0),
            fourths=self._fourths.value,
            probes=self._curvature.effective,
            weight=self._gradient.weight,
        )

    @staticmethod
    def _ridge(curvature: Tensor, noise: Tensor) -> Tensor:
        """Curvature [p] of a pull to the start, as strong as a rate's standard error is large.

        For one rate alone, with gradient noise of variance s and curvature h, the best guess between a
        normal prior of width PRIOR around the start and the minimum of its own parabola is the minimum
        with s / (h PRIOR^2) added to the curvature. It fades as the draws add up. Where there is no curvature nothing is
        known, and nothing moves: see :meth:`Quadratic.minimum`.
        """
        return torch.where(curvature > 0, noise / (curvature * PRIOR**2), torch.zeros_like(noise))

    def state_dict(self) -> dict:
        return {"batches": self.batches, **{name: mean.state_dict() for name, mean in self._means.items()}}

    def load_state_dict(self, state: dict) -> None:
        self.batches = state["batches"]
        for name, mean in self._means.items():
            mean.load_state_dict(state[name])


class _Mean:
    """A weighted mean of batches in which older ones fade. ``effective``: draws it stands for."""

    def __init__(self, *shape: int):
        self.value, self.weight, self._squares = torch.zeros(shape, dtype=torch.float64), 0.0, 0.0

    def add(self, value: Tensor, size: int, keep: float) -> None:
        self.weight = self.weight * keep + size
        self._squares = self._squares * keep**2 + size
        self.value = self.value + (value - self.value) * (size / self.weight)

    @property
    def effective(self) -> float:
        return self.weight**2 / self._squares

    def state_dict(self) -> dict:
        return {"value": self.value, "weight": self.weight, "squares": self._squares}

    def load_state_dict(self, state: dict) -> None:
        self.value, self.weight, self._squares = state["value"], state["weight"], state["squares"]

"""The running quadratic model of the loss that a search's batches add up to.

Per example there is the gradient g = J'(2r/M), and for a part of them a probe v = J'u, u ~ N(0, I);
2 v v'/M is an unbiased estimate of the Gauss-Newton matrix 2 J'J/M. (The empirical Fisher matrix g g' is not: the
residuals r are far from isotropic.) Over the batches run weighted means of the curvature H, of the
place w and of the gradient g there; the model is

    g . (w - place) + (w - place)' H (w - place) / 2.

Keeping place and gradient apart, instead of averaging H_k w_k - g_k, keeps the probes' noise out of the mean: H only
ever multiplies the small difference w - place.

A mean over batches is biased by the first of them, which are far away, where the loss is another parabola. So later
batches count more, and where the places have moved, the curvature is corrected by how the gradients have moved with them:
see :mod:`.secant`.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ...gradients.batch import Gradients
from ...gradients.rates import Rates
from ...settings import SearchSettings
from .loss_model import LossModel
from .quadratic import Quadratic
from .secant import Moves

#: Batch k counts k ** FADING times as much as the first, its curvature k ** CURVATURE_FADING times: that changes less
#: from place to place, and is the harder to know.
FADING, CURVATURE_FADING = 1.0, 0.5
#: How far from their start rates are expected, as a standard deviation.
PRIOR = 1.0


class Moments:
    """Running means over batches, or over parts of them. ``batches``: how many there were."""

    def __init__(self, rates: Rates, settings: SearchSettings):
        self._rates, self._settings = rates, settings
        p = len(rates)
        self.batches = 0
        self._curvature, self._fourths = _Mean(p, p), _Mean(p)
        self._spread, self._squares, self._loss = _Mean(p, p), _Mean(p, p), _Mean()
        self._moves = Moves(p)
        self._parts = {
            "curvature": self._curvature, "fourths": self._fourths,
            "spread": self._spread, "squares": self._squares, "loss": self._loss, "moves": self._moves,
        }  # fmt: skip

    def add(self, place: Tensor, batch: Gradients) -> None:
        """A batch evaluated at the parameters ``place`` [p]."""
        size = len(batch.losses)
        self.batches += 1
        counts = self.batches**FADING
        if probed := len(batch.probes):
            of_probes = self.batches**CURVATURE_FADING
            self._curvature.add(2 * batch.probes.T @ batch.probes / probed, probed, of_probes)
            self._fourths.add(4 * batch.probes.pow(4).mean(0), probed, of_probes)
        mean = batch.gradients.mean(0)
        centered = batch.gradients - mean if size > 1 else batch.gradients  # one alone is nearly all luck
        self._spread.add(centered.T @ centered / max(size - 1, 1), size, counts**2)  # as the variance of a weighted mean does
        self._squares.add(batch.gradients.T @ batch.gradients / size, size, counts)
        self._loss.add(batch.losses.mean(), size, counts)
        self._moves.add(place, mean, size * counts)

    @property
    def place(self) -> Tensor:
        """The mean place of the batches [p]."""
        return self._moves.place

    @property
    def reliance(self) -> float:
        """How far the curvature between rates can be relied on, in 0..1: what is left of it when it is shrunk."""
        return self._curvature.reliance

    def quadratic(self) -> Quadratic:
        """The quadratic model of the loss around the mean place; after the first batch.

        The curvature is an average of some n outer products; like any such covariance it is shrunk
        towards its diagonal, by p / (p + n), so that it can be relied on from the first batch on. And
        where the draws say little about a rate it stays near its start: see :meth:`_ridge`.
        """
        curvature = _shrunk(self._curvature)
        noise = self._spread.value / self._squares.effective
        ridge = self._ridge(curvature.diagonal(), noise.diagonal())
        place, gradient = self._moves.place, self._moves.gradient
        corrected = self._moves.corrected(curvature, _shrunk(self._spread), self.batches**FADING)
        return Quadratic(
            center=place,
            loss=float(self._loss.value),
            gradient=gradient + ridge * (place - self._rates.start),
            hessian=corrected + torch.diag(ridge),
            noise=noise,
            counts=self._rates.counts,
            negative_penalty=self._settings.negative_penalty,
            lower=self._rates.lower,
            upper=self._rates.upper,
        )

    def loss_model(self) -> LossModel | None:
        """What the batches say of the loss itself; None before the first probe.

        Without what :meth:`quadratic` adds to it: the shrinkage, the correction and the pull to the start. The gradient's
        covariance is that over all samples, so that it is there for batches of one sample too; what the mean itself has moved
        counts as noise in it.
        """
        if not self._curvature.weight:
            return None
        mean, effective = self._moves.gradient, self._squares.effective
        return LossModel(
            place=self._moves.place,
            loss=float(self._loss.value),
            gradient=mean,
            curvature=self._curvature.value,
            noise=(self._squares.value - mean[:, None] * mean) / max(effective - 1, 1.0),
            fourths=self._fourths.value,
            probes=self._curvature.effective,
            weight=self._squares.weight,
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
        return {"batches": self.batches, **{name: part.state_dict() for name, part in self._parts.items()}}

    def load_state_dict(self, state: dict) -> None:
        self.batches = state["batches"]
        for name, part in self._parts.items():
            part.load_state_dict(state[name])


def _shrunk(mean: _Mean) -> Tensor:
    """A mean of outer products [p, p], shrunk towards its diagonal by p / (p + n)."""
    return torch.lerp(torch.diag(mean.value.diagonal()), mean.value, mean.reliance)


class _Mean:
    """A weighted mean of batches. ``effective``: draws of equal weight that it is as good as."""

    def __init__(self, *shape: int):
        self.value, self.weight, self._squares = torch.zeros(shape, dtype=torch.float64), 0.0, 0.0

    def add(self, value: Tensor, size: int, counts: float) -> None:
        """The mean of ``size`` draws that count ``counts`` each."""
        self.weight += size * counts
        self._squares += size * counts**2
        self.value = self.value + (value - self.value) * (size * counts / self.weight)

    @property
    def effective(self) -> float:
        return self.weight**2 / self._squares if self._squares else 0.0

    @property
    def reliance(self) -> float:
        """n / (p + n) for a mean of n outer products [p, p], of numbers that are not always 0."""
        p = max(int((self.value.diagonal() > 0).sum()), 1)
        return self.effective / (p + self.effective)

    def state_dict(self) -> dict:
        return {"value": self.value, "weight": self.weight, "squares": self._squares}

    def load_state_dict(self, state: dict) -> None:
        self.value, self.weight, self._squares = state["value"], state["weight"], state["squares"]

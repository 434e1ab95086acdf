"""The loss around what was found, as a search's batches say it, and how far that can be relied on."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

#: The 97.5% point of the normal distribution: half the width of a 95% interval, in standard errors.
WIDTH = 1.959964


@dataclass(frozen=True, kw_only=True)
class LossModel:
    """loss(w) = loss + gradient . (w - place) + (w - place)' curvature (w - place) / 2, all fp64 and nothing added to it.

    ``noise`` [p, p]: covariance of ``gradient``. ``curvature`` [p, p]: the mean of 2 v v' over ``probes`` draws of v; ``fourths``
    [p]: the mean of (2 v^2)^2 over them. ``weight``: of the samples, beside other parts of the same search.
    """

    place: Tensor
    loss: float
    gradient: Tensor
    curvature: Tensor
    noise: Tensor
    fourths: Tensor
    probes: float
    weight: float

    def predicted_loss(self, w: Tensor) -> float:
        """The denoising loss at w."""
        return self.loss + self.rise(self.place, w)[0]

    def rise(self, start: Tensor, end: Tensor) -> tuple[float, float, float]:
        """By how much the loss at ``end`` [p] is above that at ``start``, and the ends of the 95% interval of that.

        The gradient's part of the variance is step' noise step. The curvature's part is the mean over probes of (v . step)
        (v . (step + 2 (start - place))), whose variance follows from fourth moments, see :meth:`_tails`. Such a mean of squares is
        nearer to log-normal than to normal: it can be twice as large more easily than negative. The two parts' distances to
        their ends add up by their squares (Zou and Donner, 2008).
        """
        step = end - start
        other = step + 2 * (start - self.place)
        along, across, crossed = (0.5 * float(a @ self.curvature @ b) for a, b in ((step, step), (other, other), (step, other)))
        by_gradient = WIDTH * math.sqrt(max(float(step @ self.noise @ step), 0.0))
        variance = self._tails(step.square()) * (along * across + 2 * crossed**2) - crossed**2
        deviation = math.sqrt(max(variance, 0.0) / self.probes)
        towards_0, away = 0.0, 0.0
        if deviation:
            size = max(abs(crossed), deviation)
            towards_0, away = -size * math.expm1(-WIDTH * deviation / size), size * math.expm1(WIDTH * deviation / size)
        below, above = (towards_0, away) if crossed >= 0 else (away, towards_0)
        rise = float(self.gradient @ step) + crossed
        return rise, rise - math.hypot(by_gradient, below), rise + math.hypot(by_gradient, above)

    def likeness(self) -> tuple[Tensor, Tensor]:
        """How alike what two rates change is, and half the width of its 95% interval; both [p, p].

        h_ij / sqrt(h_ii h_jj), the cosine of their changes of the prediction; 0 for rates that change nothing. Error: that of a
        correlation of elliptical variables (Muirhead, 1982, section 5.1), here around a mean that is known to be 0.
        """
        size = self.curvature.diagonal().clamp(min=0).sqrt()
        cosine = (self.curvature / (size[:, None] * size)).nan_to_num(0.0).clamp(-1, 1)
        tails = torch.tensor([self._tails(one) for one in torch.eye(len(size), dtype=torch.float64)])
        return cosine, WIDTH * (1 - cosine.square()) * (torch.maximum(tails[:, None], tails) / self.probes).sqrt()

    def _tails(self, counts: Tensor) -> float:
        """How far fourth moments of the probes are above those of normal ones: of the rates that ``counts`` [p], or of all if that is more.

        A probe is normal for its sample, and samples differ in their size: all together they are elliptical, with all fourth
        moments the same multiple (at least 1) of the normal ones (Muirhead, Aspects of Multivariate Statistical Theory,
        1982, section 1.6). That of all rates is the surer one; that of one rate may be larger.
        """
        normal = 3 * self.curvature.diagonal().square()
        parts = [(self.fourths @ weight, normal @ weight) for weight in (counts.square(), torch.ones_like(counts))]
        return max([1.0, *(float(fourth / by_normal) for fourth, by_normal in parts if by_normal > 0)])


def together(parts: list[LossModel]) -> LossModel:
    """The model of all samples of several parts at once, each with its weight."""
    total = sum(part.weight for part in parts)
    shares = [part.weight / total for part in parts]

    def mean(values: list[Tensor]) -> Tensor:
        return sum((share * value for share, value in zip(shares, values)), torch.zeros_like(values[0]))

    place = mean([part.place for part in parts])
    return LossModel(
        place=place,
        loss=sum(share * part.predicted_loss(place) for share, part in zip(shares, parts)),
        gradient=mean([part.gradient + part.curvature @ (place - part.place) for part in parts]),
        curvature=mean([part.curvature for part in parts]),
        noise=sum(share**2 * part.noise for share, part in zip(shares, parts)),
        fourths=mean([part.fourths for part in parts]),
        probes=1 / sum(share**2 / part.probes for share, part in zip(shares, parts)),
        weight=total,
    )

"""A quadratic model of the loss with the penalty on top: its exact minimum, and its path over penalties."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from .active_set import ActiveSet

#: Part of the mean curvature that is added to it, so that directions without any have a minimum too.
_RIDGE = 1e-9


@dataclass(frozen=True, kw_only=True)
class Quadratic:
    """loss(w) = loss + gradient . (w - center) + (w - center)' hessian (w - center) / 2, all fp64.

    ``noise`` [p, p]: covariance of ``gradient``. ``counts`` [p]: how many rates each parameter stands
    for in the penalty; ``negative_penalty``: the extra weight of rates below 0; ``lower``, ``upper``:
    bounds.
    """

    center: Tensor
    loss: float
    gradient: Tensor
    hessian: Tensor
    noise: Tensor
    counts: Tensor
    negative_penalty: float
    lower: float
    upper: float

    def predicted_loss(self, w: Tensor) -> float:
        """The model's denoising loss at w, without the penalty."""
        step = w - self.center
        return self.loss + float(self.gradient @ step + 0.5 * step @ self.hessian @ step)

    def minimum(self, penalty: float, start: Tensor) -> Tensor:
        """argmin of loss(w) + penalty * sum counts (|w| + negative_penalty * max(-w, 0)) within the bounds.

        Exact; useless rates come out exactly 0, and rates of which nothing is known (no curvature at all) stay
        at the center. The sooner done the nearer ``start`` is.
        """
        known = self.known
        found = self.center.clamp(self.lower, self.upper)
        if known.any():
            hessian, center = self.hessian[known][:, known].numpy(), self.center[known].numpy()
            curvature = hessian + _RIDGE * hessian.diagonal().mean() * np.eye(len(center))
            constant = curvature @ center - self.gradient[known].numpy()
            price = penalty * self.counts[known].numpy()
            solver = ActiveSet(curvature, constant, price, price * (1 + self.negative_penalty), self.lower, self.upper)
            found[known] = torch.from_numpy(solver.minimum(start[known].clamp(self.lower, self.upper).numpy()))
        return found

    @property
    def known(self) -> Tensor:
        """Which parameters the loss depends on [p]."""
        return self.hessian.diagonal() > 0

    def stderr(self, w: Tensor) -> Tensor:
        """Standard errors of a minimum ``w``: sandwich H^-1 noise H^-1 (White, 1982).

        Over the rates that are neither 0 nor at a bound; NaN for the others, and where the loss does not depend on them.
        """
        free = self.known & (w != 0) & (w > self.lower) & (w < self.upper)
        errors = torch.full_like(w, float("nan"))
        if free.any():
            inverse = torch.linalg.pinv(self.hessian[free][:, free], hermitian=True)
            covariance = inverse @ self.noise[free][:, free] @ inverse
            errors[free] = covariance.diagonal().clamp(min=0).sqrt()
        return errors

    def excess(self) -> float:
        """How much higher than at the true minimum the loss at the model's is to be expected, at most.

        The gradient's noise n moves the minimum by H^-1 n, which costs n' H^-1 n / 2: in the mean half the
        trace of H^-1 noise. Rates that the penalty or a bound holds move less; they count in full here,
        because more draws may set them free.
        """
        return 0.5 * float((torch.linalg.pinv(self.hessian, hermitian=True) * self.noise).sum())

    def largest_penalty(self) -> float:
        """The penalty from which on every rate is 0 (as far as the bounds allow)."""
        slope = self.gradient + self.hessian @ (0 - self.center)
        needed = torch.where(slope < 0, -slope, slope / (1 + self.negative_penalty)) / self.counts
        return float(needed.max())

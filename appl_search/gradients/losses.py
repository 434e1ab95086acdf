"""The denoising loss and its derivative: how far a prediction is from its target, and how each sample counts.

Weights, kinds of loss and their schedules are those of kohya-ss/sd-scripts (``custom_train_functions``,
``conditional_loss``).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ..settings import SearchSettings

_MOST_SNR = 1000.0  # the last noise levels have next to no noise


def sample_weights(snr: Tensor, scale: Tensor, prediction: str, settings: SearchSettings) -> Tensor:
    """How much the loss of each sample counts [b], by its noise level: 1 without any of these settings.

    ``scale`` [b]: d denoised / d prediction; ``prediction``: what the network predicts. min-SNR-gamma (Hang et al., 2023) is min(SNR, gamma) for errors of the clean
    latent; an error of the prediction is ``scale`` times smaller there: for eps that gives min(SNR, gamma) / SNR, for v
    min(SNR, gamma) / (SNR + 1). The debiased estimation (Yu et al., 2023) is 1 / SNR^(1/2) for eps and 1 / (SNR + 1) for v.
    """
    weight, most = torch.ones_like(snr), snr.clamp(max=_MOST_SNR)
    like_noise = most / (most + 1)
    if settings.min_snr_gamma is not None:
        weight = weight * snr.clamp(max=settings.min_snr_gamma) * scale**2
    if settings.scale_v_pred_loss_like_noise_pred:
        weight = weight * like_noise
    if settings.v_pred_like_loss:
        weight = weight * (1 + settings.v_pred_like_loss / like_noise)
    if settings.debiased_estimation_loss:
        weight = weight * (1 / (most + 1) if prediction == "v" else most**-0.5)
    return weight


def check_loss(prediction: str, settings: SearchSettings) -> None:
    """Raises ValueError for weights of the loss that are made for networks that predict something else."""
    made_for = {"scale_v_pred_loss_like_noise_pred": ("v",), "v_pred_like_loss": ("eps",), "debiased_estimation_loss": ("eps", "v")}
    for name, predictions in made_for.items():
        if getattr(settings, name) and prediction not in predictions:
            raise ValueError(
                f"SearchSettings: {name} is {getattr(settings, name)!r}, but the MODEL predicts {prediction}, and that setting is for "
                f"networks that predict {' or '.join(predictions)}. Turn it off."
            )


def huber_thresholds(timestep: Tensor, snr: Tensor, settings: SearchSettings) -> Tensor:
    """Where Huber's loss goes from square to straight [b], by the script's schedules. ``timestep`` [b] in 0..1000."""
    c = settings.huber_c
    if settings.huber_schedule == "exponential":
        return torch.exp(math.log(c) / 1000 * timestep) * settings.huber_scale
    if settings.huber_schedule == "snr":
        return (1 - c) / (1 + snr**-0.5) ** 2 + c
    return torch.full_like(snr, c * settings.huber_scale)


@dataclass(frozen=True)
class Kind:
    """A loss of each element: its value, slope and curvature at residuals r, with the threshold c of the sample.

    The curvature is the second derivative. That of the absolute value says nothing; in its place stands the curvature of
    the parabola that touches it at r from above (Hunter and Lange, 2004), for small r that at the sample's mean |r|.
    For normally distributed residuals its mean is near the curvature of the mean loss.
    """

    value: Callable[[Tensor, Tensor], Tensor]
    slope: Callable[[Tensor, Tensor], Tensor]
    curvature: Callable[[Tensor, Tensor], Tensor]


def _hypotenuse(r: Tensor, c: Tensor) -> Tensor:
    return (r**2 + c**2).sqrt()


def _mean_size(r: Tensor) -> Tensor:
    return r.abs().flatten(1).mean(1)[:, None, None, None].clamp(min=1e-12)


KINDS = {
    "l2": Kind(lambda r, c: r**2, lambda r, c: 2 * r, lambda r, c: torch.full_like(r, 2)),
    "l1": Kind(lambda r, c: r.abs(), lambda r, c: r.sign(), lambda r, c: 1 / torch.maximum(r.abs(), _mean_size(r))),
    "huber": Kind(
        lambda r, c: 2 * c * (_hypotenuse(r, c) - c),
        lambda r, c: 2 * c * r / _hypotenuse(r, c),
        lambda r, c: 2 * c**3 / _hypotenuse(r, c) ** 3,
    ),
    "smooth_l1": Kind(
        lambda r, c: 2 * (_hypotenuse(r, c) - c),
        lambda r, c: 2 * r / _hypotenuse(r, c),
        lambda r, c: 2 * c**2 / _hypotenuse(r, c) ** 3,
    ),
}


class DenoisingLoss:
    """weight * mean loss(prediction - target) of each sample, and what backward has to start from.

    ``target`` [b, 4, h, w] in fp32; ``weight`` [b, 1, h, w] or [b, 1, 1, 1]: of each of its elements; the mean is over
    all M of them, as in sd-scripts' masked loss. ``kind``: of :data:`KINDS`; ``threshold`` [b]: Huber's. With J the
    Jacobian of the prediction the gradient is J'(weight * slope) / M, and J'((weight * curvature / 2)^(1/2) u) / M^(1/2)
    for u ~ N(0, I) is a probe of the generalised Gauss-Newton matrix. Starts of backward leave M out: activation
    gradients in half precision stay near 1 and do not underflow, and the division is done afterwards on the few
    numbers that come out, in fp64.
    """

    def __init__(self, target: Tensor, weight: Tensor, kind: str = "l2", threshold: Tensor | None = None):
        self._target, self._weight, self._kind = target, weight, KINDS[kind]
        self._threshold = (torch.ones(len(target)) if threshold is None else threshold).to(target)[:, None, None, None]
        self.elements = target[0].numel()

    def values(self, prediction: Tensor) -> Tensor:
        """The losses [b] in fp32."""
        return (self._weight * self._at(self._kind.value, prediction)).flatten(1).mean(1)

    def start(self, prediction: Tensor) -> Tensor:
        """Where backward to the gradients starts; they are to be divided by ``elements``."""
        return (self._weight * self._at(self._kind.slope, prediction)).to(prediction.dtype)

    def probe_start(self, prediction: Tensor, noise: Tensor) -> Tensor:
        """Where backward to probes starts; they are to be divided by the root of ``elements``. ``noise`` as the target."""
        curvature = self._weight * self._at(self._kind.curvature, prediction)
        return ((curvature / 2) ** 0.5 * noise).to(prediction.dtype)

    def _at(self, function: Callable[[Tensor, Tensor], Tensor], prediction: Tensor) -> Tensor:
        return function(prediction.detach().float() - self._target, self._threshold)

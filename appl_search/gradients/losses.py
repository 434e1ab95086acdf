"""The denoising loss and its derivative: what the network sees, what it should predict, how each sample counts."""

from __future__ import annotations

import torch
from torch import Tensor


def snr_weights(snr: Tensor, scale: Tensor, gamma: float | None) -> Tensor:
    """Weight of each draw's loss [b]: min-SNR-gamma (Hang et al., 2023), or 1 when ``gamma`` is None.

    ``scale`` [b]: d denoised / d prediction. The paper's weight is min(SNR, gamma) for errors of the clean latent; an
    error of the prediction is ``scale`` times smaller there: for eps that gives min(SNR, gamma) / SNR, for v
    min(SNR, gamma) / (SNR + 1).
    """
    return torch.ones_like(snr) if gamma is None else snr.clamp(max=gamma) * scale**2


class DenoisingLoss:
    """weight * mean (prediction - target)^2 of each sample, and what backward has to start from.

    ``target`` [b, 4, h, w] in fp32; ``weight`` [b, 1, h, w] or [b, 1, 1, 1]: of each of its elements; the mean is over
    all of them, as in sd-scripts' masked loss. With r = weight^(1/2) (prediction - target) of M elements the loss
    is r'r / M, its gradient J'(2 r) / M for the Jacobian J of r, and J'u / M^(1/2) for u ~ N(0, I) is a probe of the
    Gauss-Newton matrix. Starts of backward leave M out: activation gradients in half precision stay near 1 and do not
    underflow, and the division is done afterwards on the few numbers that come out, in fp64.
    """

    def __init__(self, target: Tensor, weight: Tensor):
        self._target, self._weight = target, weight
        self.elements = target[0].numel()

    def values(self, prediction: Tensor) -> Tensor:
        """The losses [b] in fp32."""
        return (self._weight * self._residual(prediction) ** 2).flatten(1).mean(1)

    def start(self, prediction: Tensor) -> Tensor:
        """Where backward to the gradients starts; they are to be divided by ``elements``."""
        return (2 * self._weight * self._residual(prediction)).to(prediction.dtype)

    def probe_start(self, prediction: Tensor, noise: Tensor) -> Tensor:
        """Where backward to probes starts; they are to be divided by the root of ``elements``. ``noise`` as the target."""
        return (self._weight**0.5 * noise).to(prediction.dtype)

    def _residual(self, prediction: Tensor) -> Tensor:
        return prediction.detach().float() - self._target

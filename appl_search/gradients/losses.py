"""The denoising loss and its derivative: what the network sees, what it should predict, how each sample counts."""

from __future__ import annotations

import torch
from torch import Tensor


def noisy_and_target(latent: Tensor, noise: Tensor, sigma: Tensor, v_prediction: bool) -> tuple[Tensor, Tensor]:
    """The network's input and what it should predict, both [b, 4, h, w] in fp32.

    ``latent`` [b, 4, h, w] in the U-Net's scale; ``sigma`` [b], on the CPU, for not every device has fp64: with abar = 1 / (1 + sigma^2) the input
    is sqrt(abar) latent + sqrt(1 - abar) noise; the target is the noise, or v = sqrt(abar) noise -
    sqrt(1 - abar) latent (Salimans and Ho, 2022).
    """
    sigma = sigma.double()[:, None, None, None]
    signal = ((1 + sigma**2) ** -0.5).float().to(latent.device)
    spread = (sigma / (1 + sigma**2) ** 0.5).float().to(latent.device)
    noisy = signal * latent + spread * noise
    return noisy, signal * noise - spread * latent if v_prediction else noise


def snr_weights(sigma: Tensor, gamma: float | None, v_prediction: bool) -> Tensor:
    """Weight of each sample's loss [b]: min-SNR-gamma (Hang et al., 2023), or 1 when ``gamma`` is None."""
    if gamma is None:
        return torch.ones_like(sigma)
    snr = sigma**-2
    return snr.clamp(max=gamma) / (snr + 1 if v_prediction else snr)


class DenoisingLoss:
    """weight * mean (prediction - target)^2 of each sample, and what backward has to start from.

    ``target`` [b, 4, h, w] in fp32; ``weight`` [b]. With r = weight^(1/2) (prediction - target) of M elements the loss
    is r'r / M, its gradient J'(2 r) / M for the Jacobian J of r, and J'u / M^(1/2) for u ~ N(0, I) is a probe of the
    Gauss-Newton matrix. Starts of backward leave M out: activation gradients in half precision stay near 1 and do not
    underflow, and the division is done afterwards on the few numbers that come out, in fp64.
    """

    def __init__(self, target: Tensor, weight: Tensor):
        self._target, self._weight = target, weight[:, None, None, None]
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

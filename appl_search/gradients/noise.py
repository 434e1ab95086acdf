"""Noise that is not plain: with an offset, of several resolutions, or stronger than the network is told.

The options are those of kohya-ss/sd-scripts (``get_noise_noisy_latents_and_timesteps``), which draws some of their random
numbers once for a batch; here each sample has its own, so that it is the same in any batch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from ..settings import SearchSettings

Normal = Callable[[Sequence[int]], Tensor]  # a tensor of this shape, ~ N(0, 1)
Uniform = Callable[[], float]  # a number in 0..1


def is_plain(settings: SearchSettings) -> bool:
    """Whether the noise is N(0, 1) and nothing else."""
    return not (settings.noise_offset or settings.multires_noise_iterations or settings.ip_noise_gamma)


def sources_of(generator: torch.Generator) -> tuple[Normal, Uniform]:
    """Random numbers of a generator, one after the other."""
    return (
        lambda shape: torch.randn(tuple(shape), generator=generator),
        lambda: float(torch.rand(1, generator=generator)),
    )


def shaped(noise: Tensor, latent: Tensor, settings: SearchSettings, normal: Normal, uniform: Uniform) -> tuple[Tensor, Tensor]:
    """What the network should find, and what is added to the latent: both [4, h, w].

    ``noise`` ~ N(0, 1) and ``latent`` [4, h, w], the latter in the U-Net's scale.
    """
    if settings.noise_offset:
        noise = _with_offset(noise, latent, settings, normal, uniform)
    if settings.multires_noise_iterations:
        noise = _multires(noise, settings.multires_noise_iterations, settings.multires_noise_discount, normal, uniform)
    if not settings.ip_noise_gamma:
        return noise, noise
    strength = settings.ip_noise_gamma * (uniform() if settings.ip_noise_gamma_random_strength else 1.0)
    return noise, noise + strength * normal(latent.shape)


def _with_offset(noise: Tensor, latent: Tensor, settings: SearchSettings, normal: Normal, uniform: Uniform) -> Tensor:
    """A shift for each channel (crosslabs.org, diffusion with offset noise), stronger where the latent's mean is far from 0."""
    offset = settings.noise_offset * (uniform() if settings.noise_offset_random_strength else 1.0)
    if settings.adaptive_noise_scale:
        offset = (offset + settings.adaptive_noise_scale * latent.mean((1, 2), keepdim=True).abs()).clamp(min=0)
    return noise + offset * normal((len(noise), 1, 1))


def _multires(noise: Tensor, iterations: int, discount: float, normal: Normal, uniform: Uniform) -> Tensor:
    """Noise of lower and lower resolutions on top, scaled back to a standard deviation of 1."""
    channels, height, width = noise.shape
    for number in range(iterations):
        ratio = (uniform() * 2 + 2) ** number
        size = max(1, int(height / ratio)), max(1, int(width / ratio))
        coarse = normal((channels, *size))[None]
        noise = noise + interpolate(coarse, (height, width), mode="bilinear")[0] * discount**number
        if 1 in size:
            break
    return noise / noise.std()

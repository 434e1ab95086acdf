"""The denoising loss: what is drawn, what the network should predict, how each draw counts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Draw:
    """One batch of (image, timestep, noise). ``indices`` [b], ``timesteps`` [b], ``noise``: b tensors [4, h, w]."""

    indices: Tensor
    timesteps: Tensor
    noise: Sequence[Tensor]

    def __len__(self) -> int:
        return len(self.indices)


def draws(shapes: Sequence[torch.Size], timesteps: int, samples: int, batch_size: int, seed: int) -> Iterator[Draw]:
    """Batches until ``samples`` draws are used up, the same for the same seed on every device.

    Timesteps are stratified: each batch has one in each of its equal parts of 0 .. ``timesteps`` - 1.
    Images come in random order, each once before any comes again. ``shapes``: of the images' latents.
    """
    generator = torch.Generator().manual_seed(seed % 2**63)
    queue: list[int] = []
    while samples > 0:
        size = min(batch_size, samples)
        samples -= size
        while len(queue) < size:
            queue += torch.randperm(len(shapes), generator=generator).tolist()
        indices, queue = queue[:size], queue[size:]
        strata = torch.randperm(size, generator=generator) + torch.rand(size, generator=generator, dtype=torch.float64)
        steps = (strata * (timesteps / size)).long().clamp_(max=timesteps - 1)
        noise = [torch.randn(shapes[i], generator=generator) for i in indices]
        yield Draw(torch.tensor(indices), steps, noise)


def noisy_and_target(latent: Tensor, noise: Tensor, sigma: Tensor, v_prediction: bool) -> tuple[Tensor, Tensor]:
    """The network's input and what it should predict, both [b, 4, h, w] in fp32.

    ``latent`` [b, 4, h, w] in the U-Net's scale; ``sigma`` [b]: with abar = 1 / (1 + sigma^2) the input
    is sqrt(abar) latent + sqrt(1 - abar) noise; the target is the noise, or v = sqrt(abar) noise -
    sqrt(1 - abar) latent (Salimans and Ho, 2022).
    """
    sigma = sigma.double()[:, None, None, None]
    signal = ((1 + sigma**2) ** -0.5).float()
    spread = (sigma / (1 + sigma**2) ** 0.5).float()
    noisy = signal * latent + spread * noise
    return noisy, signal * noise - spread * latent if v_prediction else noise


def snr_weights(sigma: Tensor, gamma: float | None, v_prediction: bool) -> Tensor:
    """Weight of each draw's loss [b]: min-SNR-gamma (Hang et al., 2023), or 1 when ``gamma`` is None."""
    if gamma is None:
        return torch.ones_like(sigma)
    snr = sigma**-2
    return snr.clamp(max=gamma) / (snr + 1 if v_prediction else snr)

"""The denoising loss: what is drawn, and how each draw counts."""

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


def snr_weights(snr: Tensor, scale: Tensor, gamma: float | None) -> Tensor:
    """Weight of each draw's loss [b]: min-SNR-gamma (Hang et al., 2023), or 1 when ``gamma`` is None.

    ``scale`` [b]: d denoised / d prediction. The paper's weight is min(SNR, gamma) for errors of the clean latent; an
    error of the prediction is ``scale`` times smaller there: for eps that gives min(SNR, gamma) / SNR, for v
    min(SNR, gamma) / (SNR + 1).
    """
    return torch.ones_like(snr) if gamma is None else snr.clamp(max=gamma) * scale**2

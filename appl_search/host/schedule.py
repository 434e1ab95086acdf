"""The noise schedule of a MODEL and what its network predicts, by the MODEL's own ``model_sampling``."""

from __future__ import annotations

import torch
from torch import Tensor

from .errors import ModelError

#: What networks predict, by the names of the host's own classes; the most derived one counts.
_PREDICTIONS = {
    "EPS": "eps",
    "V_PREDICTION": "v",
    "V_PREDICTION_DDPM": "v",
    "EDM": "edm",
    "X0": "x0",
    "CONST": "flow",
    "COSMOS_RFLOW": "flow",
    "IMG_TO_IMG": None,
    "IMG_TO_IMG_FLOW": None,
}


class Schedule:
    """Noise levels, and the arithmetic between a noisy latent, the network's output and the clean latent.

    ``sampling``: the host's model_sampling, which does all of it. ``sigmas`` [n]: its noise levels, ascending, on the
    CPU. ``prediction``: what the network predicts: eps, v, edm, x0 or flow.
    Raises :class:`ModelError`, naming the sampling patch, for one that cannot be searched with.
    """

    def __init__(self, sampling):
        self._sampling = sampling
        self.prediction = _prediction_of(sampling)
        if not torch.is_tensor(getattr(sampling, "sigmas", None)):
            raise _refused(sampling, "it has no table of noise levels")
        self.sigmas: Tensor = sampling.sigmas.detach().cpu().float().clone()
        self._check_linear()

    def sigma_at(self, u: Tensor) -> tuple[Tensor, Tensor]:
        """(noise level [b], the host's timestep there [b]) of ``u`` [b] in 0..1, where 0 is the least noise; on the CPU.

        By the host's own table of n levels: u -> level floor(u * n).
        """
        index = (u.cpu().double() * len(self.sigmas)).long().clamp_(0, len(self.sigmas) - 1)
        sigma = self.sigmas[index]
        return sigma, self._sampling.timestep(sigma)

    def noisy(self, latent: Tensor, noise: Tensor, sigma: Tensor) -> Tensor:
        """What the sampler holds at noise level ``sigma`` [b]; all [b, 4, h, w] in fp32, ``latent`` in the U-Net's scale."""
        return self._sampling.noise_scaling(_column(sigma), noise, latent)

    def output(self, denoised: Tensor, noisy: Tensor, sigma: Tensor) -> Tensor:
        """The network's output [b, 4, h, w] that the host makes ``denoised`` of.

        Of a clean latent it is what the network should have predicted: the target.
        """
        nothing = torch.zeros_like(_column(sigma))
        return (denoised - self._sampling.calculate_denoised(sigma, nothing, noisy)) / _column(self.scale(sigma))

    def scale(self, sigma: Tensor) -> Tensor:
        """d denoised / d output at each noise level [b]: for eps -sigma, for v -sigma / sqrt(1 + sigma^2)."""
        nothing = torch.zeros_like(_column(sigma))
        ends = (self._sampling.calculate_denoised(sigma, nothing + end, nothing) for end in (1, 0))
        return torch.sub(*ends).flatten()

    def snr(self, sigma: Tensor) -> Tensor:
        """Signal-to-noise ratio of the noisy latent [b]: 1 / sigma^2 where noise is added to the latent as it is."""
        nothing = torch.zeros_like(_column(sigma))
        signal, spread = self.noisy(nothing + 1, nothing, sigma), self.noisy(nothing, nothing + 1, sigma)
        return (signal / spread).square().flatten()

    def _check_linear(self) -> None:
        """The loss needs an input that depends on the noise and a denoised latent that is linear in the output."""
        sigma = self.sigmas[[0, len(self.sigmas) // 2, -1]]
        scale, spread = self.scale(sigma), self.noisy(torch.zeros(3, 1, 1, 1), torch.ones(3, 1, 1, 1), sigma)
        twice = self._sampling.calculate_denoised(sigma, torch.full((3, 1, 1, 1), 2.0), torch.zeros(3, 1, 1, 1)).flatten()
        if not (scale.isfinite().all() and (scale != 0).all() and (spread != 0).all()):
            raise _refused(self._sampling, "its latents have no noise, or its output no effect")
        if not torch.allclose(twice, 2 * scale, rtol=1e-3):
            raise _refused(self._sampling, "its denoised latent is not linear in the network's output")


def _column(sigma: Tensor) -> Tensor:
    return sigma.view(-1, 1, 1, 1)


def _prediction_of(sampling) -> str:
    bases = [base.__name__ for base in type(sampling).__mro__]
    found = next((name for name in bases if name in _PREDICTIONS), None)
    if found is None or _PREDICTIONS[found] is None:
        raise _refused(sampling, f"its network predicts {found or 'something unknown'}, expected eps, v, x0, edm or flow")
    return _PREDICTIONS[found]


def _refused(sampling, why: str) -> ModelError:
    bases = ", ".join(base.__name__ for base in type(sampling).__bases__)
    return ModelError(
        f"The MODEL samples with {type(sampling).__name__} ({bases}): {why}. Remove the sampling patch (a ModelSampling node) "
        "from the MODEL for the search."
    )

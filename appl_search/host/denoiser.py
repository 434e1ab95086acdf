"""The U-Net of a MODEL as a function of its noisy input, with its noise schedule."""

from __future__ import annotations

import comfy.model_base
import comfy.model_management
import comfy.model_sampling
import torch
from torch import Tensor


class ModelError(ValueError):
    """A MODEL, CLIP or VAE that a search cannot use; the message says what was expected."""


class Denoiser:
    """An SDXL ModelPatcher: its schedule, its prediction type and its raw prediction.

    ``sigmas`` [timesteps]: noise levels, ascending, in ComfyUI's convention x = x0 + sigma * noise.
    ``v_prediction``: whether the network predicts v rather than the noise.
    Raises :class:`ModelError` for anything but SDXL with eps or v prediction.
    """

    def __init__(self, patcher):
        if not isinstance(patcher.model, comfy.model_base.SDXL):
            kind = type(patcher.model).__name__
            raise ModelError(f"The MODEL is {kind}, expected SDXL. Load an SDXL checkpoint: block weights are for SDXL only.")
        self.patcher = patcher
        self.model = patcher.model
        sampling = patcher.get_model_object("model_sampling")
        self.v_prediction = _is_v_prediction(sampling)
        self.sigmas: Tensor = sampling.sigmas.detach().clone().float().cpu()
        self._sampling = sampling

    @property
    def dtype(self) -> torch.dtype:
        """The dtype that the host computes in."""
        return self.model.manual_cast_dtype or self.model.get_dtype()

    @property
    def device(self) -> torch.device:
        return self.patcher.load_device

    def sigma_at(self, u: Tensor) -> tuple[Tensor, Tensor]:
        """(sigma [b], timestep [b]) of ``u`` [b] in 0..1, where 0 is the least noise; on the CPU.

        By the host's own schedule of n noise levels: u -> level floor(u * n), and the timestep that the host tells the
        network at this level.
        """
        index = (u.double() * len(self.sigmas)).long().clamp_(0, len(self.sigmas) - 1)
        sigma = self.sigmas[index.cpu()]
        return sigma, self._sampling.timestep(sigma)

    def latent_in(self, latent: Tensor) -> Tensor:
        """A VAE's latent in the U-Net's own scale (SDXL: times 0.13025)."""
        return self.model.process_latent_in(latent)

    def latent_out(self, latent: Tensor) -> Tensor:
        """The inverse of :meth:`latent_in`."""
        return self.model.process_latent_out(latent)

    def size_and_pooled(self, pooled: Tensor, **sizes: int) -> Tensor:
        """SDXL's vector conditioning [n, adm channels] of pooled [n, c] and sizes in pixels.

        ``sizes``: width, height, crop_w, crop_h, target_width, target_height, as ComfyUI names them.
        Differentiable in ``pooled``.
        """
        return self.model.encode_adm(pooled_output=pooled, device=pooled.device, **sizes)

    def inference_memory(self, batch_shape: tuple[int, ...]) -> float:
        """Bytes that the host reserves for sampling a batch of ``batch_shape`` [b, 4, h, w]."""
        return self.patcher.memory_required(list(batch_shape))

    def __call__(self, noisy: Tensor, timesteps: Tensor, context: Tensor, vector: Tensor) -> Tensor:
        """The network's raw output [b, 4, h, w] in its own dtype.

        ``noisy`` [b, 4, h, w]: sqrt(abar) x0 + sqrt(1 - abar) noise; ``timesteps`` [b];
        ``context`` [b, tokens, c]; ``vector`` [b, adm channels].
        """
        dtype = self.dtype
        return self.model.diffusion_model(
            noisy.to(dtype),
            timesteps.float(),
            context=context.to(dtype),
            y=vector.to(dtype),
            control=None,
            transformer_options=dict(self.patcher.model_options.get("transformer_options", {})),
        )


def _is_v_prediction(sampling) -> bool:
    if not isinstance(sampling, comfy.model_sampling.ModelSamplingDiscrete):
        raise ModelError(
            f"The MODEL samples with {type(sampling).__name__}, expected a discrete noise schedule (eps or v "
            "prediction). Remove the sampling patch from the MODEL."
        )
    bases = [base.__name__ for base in type(sampling).__mro__]
    # V_PREDICTION and the others all derive from EPS: the most derived of these names decides.
    first = next((name for name in bases if name in ("EPS", "V_PREDICTION", "EDM", "X0", "IMG_TO_IMG", "CONST")), "unknown")
    if first not in ("EPS", "V_PREDICTION"):
        raise ModelError(f"The MODEL predicts {first}, expected eps or v prediction. Use an SDXL checkpoint of one of these.")
    return first == "V_PREDICTION"

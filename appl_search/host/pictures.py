"""Latents as pictures."""

from __future__ import annotations

import torch
from comfy import model_management
from torch import Tensor


def decode(vae, latent: Tensor) -> Tensor:
    """Pixels [h, w, 3] in 0..1 of a latent [4, h / 8, w / 8] in the VAE's scale."""
    with torch.inference_mode():  # as nodes run, for VAEs that fall back to tiles
        pixels = vae.decode(latent[None])[0]
    return pixels.float().cpu().clone()


def fits(vae, latent: Tensor) -> bool:
    """Whether the VAE can decode a latent without the host moving other models out of the way."""
    where = vae.patcher.load_device
    if model_management.is_device_cpu(where):
        return True
    working = vae.memory_used_decode((1, *latent.shape), vae.vae_dtype) + model_management.extra_reserved_memory()
    # What load_models_gpu asks for.
    needed = 1.1 * vae.patcher.model_size() + max(working, model_management.minimum_inference_memory())
    return model_management.get_free_memory(where) > needed


def approximate(latent_format, latent: Tensor) -> Tensor:
    """Pixels [h / 8, w / 8, 3] in 0..1, by the linear map that ComfyUI's own latent previews use."""
    factors = torch.tensor(latent_format.latent_rgb_factors)
    bias = torch.tensor(latent_format.latent_rgb_factors_bias)
    pixels = latent_format.process_in(latent.float().cpu()).movedim(0, -1) @ factors + bias
    return ((pixels + 1) / 2).clamp(0, 1)

"""Captions and images through a CLIP and a VAE."""

from __future__ import annotations

import torch
from torch import Tensor

from .denoiser import ModelError


def encode_caption(clip, caption: str) -> tuple[Tensor, Tensor]:
    """(context [1, tokens, c], pooled [1, p]) of a caption, as the CLIPTextEncode node makes them.

    Differentiable when gradients are enabled. Raises :class:`ModelError` for a CLIP without a pooled output.
    """
    context, pooled = clip.encode_from_tokens(clip.tokenize(caption), return_pooled=True)
    if pooled is None:
        raise ModelError("The CLIP gives no pooled output, expected SDXL's two text encoders. Use the checkpoint's own CLIP.")
    return context, pooled


def encode_image(vae, pixels: Tensor) -> Tensor:
    """Latent [4, h / 8, w / 8] of pixels [h, w, 3] in 0..1, in the VAE's own scale.

    Raises :class:`ModelError` when the VAE is not of SDXL's kind.
    """
    latent = vae.encode(pixels[None, :, :, :3])
    height, width = pixels.shape[:2]
    if latent.ndim != 4 or tuple(latent.shape[1:]) != (4, height // 8, width // 8):
        raise ModelError(
            f"The VAE made a latent of shape {tuple(latent.shape)} of {width}x{height} pixels, expected "
            f"(1, 4, {height // 8}, {width // 8}). Use an SDXL VAE."
        )
    if not torch.isfinite(latent).all():
        raise ModelError("The VAE made NaN or infinite latents. Use a VAE that works in half precision, or start ComfyUI with --fp32-vae.")
    return latent[0].float()

"""Encoders that are no models: pixels are latents, and each caption's letters are its conditioning."""

from __future__ import annotations

import torch
from torch import Tensor


class PlainEncoders:
    """``captions``, ``images``: what was encoded so far. ``vae``, ``clip``: their keys, which may be changed or None."""

    def __init__(self, vae: str | None = "vae", clip: str | None = "clip"):
        self.vae, self.clip = vae, clip
        self.captions: list[str] = []
        self.images: list[Tensor] = []

    def image(self, pixels):
        self.images.append(pixels)
        return pixels.movedim(-1, 0)

    def caption(self, text, max_tokens):
        self.captions.append(text)
        return torch.tensor([[[float(sum(map(ord, text)))]]]), torch.zeros(1, 1)

    def image_key(self):
        return self.vae

    def caption_key(self, text, max_tokens):
        return self.clip and f"{self.clip} {text} {max_tokens}"

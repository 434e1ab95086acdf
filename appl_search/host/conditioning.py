"""Captions and images through a CLIP and a VAE."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from . import long_captions
from .errors import ModelError
from .undo import Undo


def encode_caption(clip, caption: str, max_tokens: int = 0) -> tuple[Tensor, Tensor]:
    """(context [1, tokens, c], pooled [1, p]) of a caption, as the CLIPTextEncode node makes them.

    ``max_tokens``: a multiple of 75; as many are read and put together as kohya's trainers do. 0: the whole caption.
    Raises :class:`ModelError` for a CLIP without a pooled output.
    """
    return _encode(clip, tokens_of(clip, caption, max_tokens), max_tokens)


def as_conditioning(context: Tensor, pooled: Tensor) -> list:
    """CONDITIONING, as ComfyUI's nodes hand it on, of what :func:`encode_caption` gives."""
    return [[context, {"pooled_output": pooled}]]


def check_hooks(clip) -> None:
    """Raises :class:`ModelError` for a CLIP whose prompts change the MODEL, or are others at other noise levels."""
    if getattr(clip, "apply_hooks_to_conds", None) is not None:
        what = "change the MODEL wherever its prompts are used"
    elif getattr(clip, "use_clip_schedule", False) and clip.patcher.forced_hooks is not None:
        what = "give other prompts at other noise levels"
    else:
        return
    raise ModelError(
        f"The CLIP has hooks (Set CLIP Hooks) that {what}, which a search cannot serve. Connect the CLIP from before that node, and "
        "load the LoRAs of its hooks with a loader."
    )


def keep_loaded(clip, undo: Undo) -> None:
    """Until the end the CLIP encodes without having its text encoders loaded first, which could move other models out."""
    undo.put(vars(clip), "load_model", lambda *_, **__: clip.patcher)


class CaptionEncoder:
    """Encodes captions again and again, with gradients; tokens are kept."""

    def __init__(self, clip):
        self._clip = clip
        self._tokens: dict[tuple[str, int], dict] = {}

    def __call__(
        self, captions: Sequence[tuple[str, int]], prepare: Callable[[slice], None]
    ) -> list[tuple[Tensor, Tensor]]:
        """(context [1, tokens, c], pooled [1, p]) of each caption; with each comes its ``max_tokens``.

        ``prepare`` is told before each run of the text encoders which captions it is for: all at once, or
        one after the other when a caption has weighted words or more than 75 tokens.
        """
        for caption in captions:
            if caption not in self._tokens:
                self._tokens[caption] = tokens_of(self._clip, *caption)
        tokens = [self._tokens[caption] for caption in captions]
        if all(map(_is_plain, tokens)):
            prepare(slice(0, len(tokens)))
            return self._encode_together(tokens)
        encoded = []
        for row, each in enumerate(tokens):
            prepare(slice(row, row + 1))
            encoded.append(_encode(self._clip, each, captions[row][1]))
        return encoded

    def _encode_together(self, tokens: list[dict]) -> list[tuple[Tensor, Tensor]]:
        """As the sections of one long prompt; ComfyUI gives the pooled output of its first section only."""
        together = {name: [section for each in tokens for section in each[name]] for name in tokens[0]}
        encoders, pooled = self._clip.cond_stage_model, []
        encoder = getattr(encoders, "clip_g", None) or encoders.clip_l  # the one whose pooled output the model gets
        encode = encoder.encode

        def keep_pooled(sections):
            out = encode(sections)
            pooled.append(out[1])
            return out

        with Undo() as undo:
            undo.put(vars(encoder), "encode", keep_pooled)
            context, first = _encode(self._clip, together)
        contexts = context.view(len(tokens), -1, context.shape[-1])
        return list(zip(contexts.split(1), pooled[0].to(first.device).split(1)))


def tokens_of(clip, caption: str, max_tokens: int = 0) -> dict:
    """A caption's tokens, as the CLIP reads them; ``max_tokens`` as for :func:`encode_caption`."""
    tokens = clip.tokenize(caption)
    return long_captions.cut(clip, tokens, max_tokens) if max_tokens else tokens


def _encode(clip, tokens: dict, max_tokens: int = 0) -> tuple[Tensor, Tensor]:
    context, pooled = clip.encode_from_tokens(tokens, return_pooled=True)
    if pooled is None:
        raise ModelError("The CLIP gives no pooled output, expected that of SDXL's or SD 1.5's text encoders. Use the checkpoint's own CLIP.")
    return long_captions.joined(context) if max_tokens > long_captions.SECTION else context, pooled


def _is_plain(tokens: dict) -> bool:
    return all(len(sections) == 1 and all(token[1] == 1.0 for token in sections[0]) for sections in tokens.values())


def encode_image(vae, pixels: Tensor) -> Tensor:
    """Latent [4, h / 8, w / 8] of pixels [h, w, 3] in 0..1, in the VAE's own scale.

    Raises :class:`ModelError` when the VAE is not of the kind that SD 1.5 and SDXL have.
    """
    # As nodes run: a VAE that falls back to tiles writes into tensors of inference mode, which only that mode allows.
    with torch.inference_mode():
        latent = vae.encode(pixels[None, :, :, :3])
    height, width = pixels.shape[:2]
    if latent.ndim != 4 or tuple(latent.shape[1:]) != (4, height // 8, width // 8):
        raise ModelError(
            f"The VAE made a latent of shape {tuple(latent.shape)} of {width}x{height} pixels, expected "
            f"(1, 4, {height // 8}, {width // 8}). Use the checkpoint's own VAE."
        )
    if not torch.isfinite(latent).all():
        raise ModelError("The VAE made NaN or infinite latents. Use a VAE that works in half precision, or start ComfyUI with --fp32-vae.")
    return latent[0].float().clone()

"""Examples of ready-made latents and conditioning."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor
from torch.nn.functional import interpolate

from .frames import SIZE_NAMES
from .pictures import Example
from .pixels import checked_mask

#: What the host's nodes add to CONDITIONING that changes what a sampler does with it, and when it changes nothing.
_CHANGES_SAMPLING: dict[str, Callable[[Any], bool]] = {
    "area": lambda value: value is None,
    "mask": lambda value: value is None,
    "strength": lambda value: value == 1,
    "mask_strength": lambda value: value == 1,
    "start_percent": lambda value: value == 0,
    "end_percent": lambda value: value == 1,
    "clip_start_percent": lambda value: value == 0,
    "clip_end_percent": lambda value: value == 1,
    "control": lambda value: value is None,
    "gligen": lambda value: value is None,
    "hooks": lambda value: value is None,
    "concat_latent_image": lambda value: value is None,
    "unclip_conditioning": lambda value: not value,
    "reference_latents": lambda value: not value,
    "noise_concat": lambda value: value is None,
    "default": lambda value: not value,
}


def example(latent: Tensor, entry: Sequence, mask: Tensor | None, number: int) -> Example:
    """Of a latent [4, h, w] and an entry [context [1, tokens, c], extras] of CONDITIONING.

    Sizes in the extras (CLIPTextEncodeSDXL) are kept, else the latent's own size counts. ``mask``: [H, W] or None, of
    the latent's size or any multiple. ``number``: for errors. Raises ValueError for an entry without a pooled output, or
    with parts that a sampler would heed and a search does not.
    """
    context, extras = entry[:2]
    pooled = extras.get("pooled_output")
    if pooled is None:
        raise ValueError(
            "The CONDITIONING has no pooled output, expected SDXL's. Use a CLIP text encode node with an SDXL CLIP."
        )
    changed = [name for name, unchanged in _CHANGES_SAMPLING.items() if name in extras and not unchanged(extras[name])]
    if changed:
        raise ValueError(
            f"The CONDITIONING of latent {number} has {', '.join(changed)}, which a search cannot serve. Connect it straight "
            "from a CLIP text encode node."
        )
    for what, tensor, expected in (
        ("context", context, "(1, tokens, channels)"),
        ("pooled output", pooled, "(1, channels)"),
    ):
        if tensor.ndim != expected.count(",") + 1 or tensor.shape[0] != 1 or not tensor.numel():
            raise ValueError(
                f"The CONDITIONING of latent {number} has a {what} of shape {tuple(tensor.shape)}, expected {expected}."
            )
        if not tensor.isfinite().all():
            raise ValueError(
                f"The CONDITIONING of latent {number} has NaN or infinite values. Check the CLIP it came from."
            )
    return Example(
        latent=_own(latent),
        context=_own(context[0]),
        pooled=_own(pooled[0]),
        sizes=_sizes(latent, extras, number),
        mask=None if mask is None else _mask(mask, latent, f"latent {number}"),
        name=f"latent {number}",
    )


def _own(tensor: Tensor) -> Tensor:
    return tensor.detach().float().cpu().clone()


def _sizes(latent: Tensor, extras: Mapping[str, Any], number: int) -> dict[str, int]:
    height, width = latent.shape[1] * 8, latent.shape[2] * 8
    sizes = dict(zip(SIZE_NAMES, (width, height, 0, 0))) | {
        name: int(extras[name]) for name in SIZE_NAMES if name in extras
    }
    sizes.setdefault("target_width", sizes["width"])
    sizes.setdefault("target_height", sizes["height"])
    for name, size in sizes.items():
        if size < 0:
            raise ValueError(f"The CONDITIONING of latent {number} has {name} {size}, expected at least 0.")
    return sizes


def _mask(mask: Tensor, latent: Tensor, name: str) -> Tensor:
    """A mask [H, W] at the latent's size."""
    return interpolate(checked_mask(mask, name)[None, None], size=latent.shape[1:], mode="area")[0, 0]

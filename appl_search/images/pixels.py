"""Pixels: what is accepted as an image, resizing as kohya's trainers do it, alpha, and masks."""

from __future__ import annotations

import math

import torch
from PIL import Image, ImageColor
from torch import Tensor

from .buckets import Size

#: ComfyUI's images are in 0..1; a filter may overshoot a little.
_LOWEST, _HIGHEST = -0.5, 1.5
#: What alpha may mean, besides the name of a colour.
IGNORE, MASK = "ignore", "mask"


def checked(image: Tensor, name: str) -> tuple[Tensor, Tensor | None]:
    """(RGB [h, w, 3] in fp32 on the CPU, alpha [h, w] or None) of an image [h, w, 1 to 4], a copy.

    One channel is grey, two are grey with alpha, four are RGB with alpha; bytes are divided by 255. An alpha of 1
    everywhere is no alpha. ``name``: of the image, for the errors. Raises ValueError for other channels, NaN, and
    values that are not in 0..1.
    """
    if image.ndim != 3 or not 1 <= image.shape[2] <= 4:
        raise ValueError(
            f"{_first_upper(name)} has shape {tuple(image.shape)}, expected (height, width, channels) with 1 (grey), 3 (RGB) or 4 "
            "(RGB and alpha) channels."
        )
    scale = 255 if image.dtype == torch.uint8 else 1
    pixels = image.detach().cpu().float() / scale
    if not torch.isfinite(pixels).all():
        raise ValueError(f"{_first_upper(name)} has NaN or infinite pixels. Check the node that made it.")
    lowest, highest = (float(edge) for edge in pixels.aminmax()) if pixels.numel() else (0.0, 0.0)
    if lowest < _LOWEST or highest > _HIGHEST:
        raise ValueError(
            f"{_first_upper(name)} has values from {lowest:g} to {highest:g}, expected 0 to 1. Divide 0..255 by 255, and bring -1..1 to 0..1."
        )
    alpha = pixels[:, :, -1].clone() if pixels.shape[2] in (2, 4) else None
    colours = pixels[:, :, :3] if pixels.shape[2] >= 3 else pixels[:, :, :1].expand(-1, -1, 3)
    if alpha is not None and bool((alpha >= 1).all()):
        alpha = None
    return colours.clone(memory_format=torch.contiguous_format), alpha


def without_alpha(image: Tensor, alpha: Tensor, mask: Tensor | None, meaning: str) -> tuple[Tensor, Tensor | None, str]:
    """(image [h, w, 3], mask [h, w] or None, what was done in words), with ``alpha`` [h, w] put to use.

    ``meaning``: "mask", "ignore", or the colour to lay behind it: a name or #rrggbb, as CSS has them.
    """
    if meaning == IGNORE:
        return image, mask, "has an alpha channel, which was dropped: what is hidden under it counts too."
    if meaning == MASK:
        if mask is not None:
            return image, mask, "has an alpha channel, but the mask given for it counts."
        return image, alpha, "counts where its alpha channel is opaque."
    background = torch.tensor(ImageColor.getrgb(meaning)[:3]) / 255
    image = image * alpha[:, :, None] + background * (1 - alpha[:, :, None])
    return image, mask, f"has an alpha channel and was laid on {meaning}."


def resized(pixels: Tensor, size: Size) -> Tensor:
    """An image [h, w, c] in 0..1 at another (width, height): the mean over areas when it shrinks, else Lanczos on bytes.

    Equal to what sd-scripts' resize_image makes (OpenCV's INTER_AREA, Pillow's LANCZOS), up to its rounding to bytes.
    """
    height, width = pixels.shape[:2]
    if (width, height) == size:
        return pixels
    if width >= size[0] and height >= size[1]:
        return _means(_means(pixels, size[1]).transpose(0, 1), size[0]).transpose(0, 1).contiguous()
    bytes_of = (pixels.clamp(0, 1) * 255).round().byte()
    channels = [Image.fromarray(bytes_of[:, :, channel].numpy()) for channel in range(pixels.shape[2])]
    enlarged = [
        torch.frombuffer(bytearray(each.resize(size, Image.Resampling.LANCZOS).tobytes()), dtype=torch.uint8)
        for each in channels
    ]
    return torch.stack(enlarged, dim=-1).view(size[1], size[0], -1).float() / 255


def _means(pixels: Tensor, length: int) -> Tensor:
    """The first axis as ``length`` means over equal parts of it; an entry that two parts share counts for both in proportion."""
    scale = pixels.shape[0] / length
    edges = torch.arange(length + 1, dtype=torch.float64) * scale
    first = edges[:-1].floor().long()
    out = torch.zeros(length, *pixels.shape[1:])
    for tap in range(math.ceil(scale) + 1):
        entry = first + tap
        overlap = torch.minimum(edges[1:], entry + 1.0) - torch.maximum(edges[:-1], entry.double())
        weight = (overlap.clamp(min=0) / scale).float()
        out += weight.view(-1, *[1] * (pixels.ndim - 1)) * pixels[entry.clamp(max=pixels.shape[0] - 1)]
    return out


def latent_mask(mask: Tensor) -> Tensor:
    """A mask [h, w] at the size of latents, [h / 8, w / 8]: means over squares, as sd-scripts' apply_masked_loss takes them."""
    return torch.nn.functional.avg_pool2d(mask[None], 8)[0]


def checked_mask(mask: Tensor, name: str) -> Tensor:
    """A mask [h, w] in 0..1, in fp32 on the CPU, a copy. Raises ValueError for other shapes and values, and for one of zeros."""
    if mask.ndim != 2:
        raise ValueError(f"The mask of {name} has shape {tuple(mask.shape)}, expected (height, width).")
    mask = mask.detach().cpu().float().clone()
    if not torch.isfinite(mask).all() or mask.min() < 0 or mask.max() > 1:
        raise ValueError(f"The mask of {name} has values outside 0..1. Check the node that made it.")
    if not mask.any():
        raise ValueError(
            f"The mask of {name} is 0 everywhere, so nothing of the picture would count. Paint what should count."
        )
    return mask


def _first_upper(name: str) -> str:
    return name[:1].upper() + name[1:]

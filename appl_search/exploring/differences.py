"""How much two pictures differ: in pixels, in structure, and where."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

#: Of Wang et al., "Image quality assessment: from error visibility to structural similarity" (2004).
_WINDOW, _SIGMA, _C1, _C2 = 11, 1.5, 0.01**2, 0.03**2
_LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601
#: From black to light yellow, told apart by colour-blind people, too: nine colours of matplotlib's "inferno" (CC0).
_COLOURS = (
    (0, 0, 4), (31, 12, 72), (85, 15, 109), (136, 34, 106), (186, 54, 85), (227, 89, 51), (249, 140, 10), (249, 201, 50), (252, 255, 164),
)  # fmt: skip


@dataclass(frozen=True)
class Difference:
    """``pixels``: the mean absolute difference of all pixels and colours, in % of their range. ``ssim``: 1 for the same."""

    pixels: float
    ssim: float


def difference(one: Tensor, other: Tensor) -> Difference:
    """Of two pictures, uint8 [h, w, 3] of one size."""
    mean = (one.int() - other.int()).abs().double().mean()
    return Difference(100 * float(mean) / 255, structural_similarity(one, other))


def structural_similarity(one: Tensor, other: Tensor) -> float:
    """SSIM of the luma of two pictures, uint8 [h, w, 3]: Wang et al. 2004 with their constants, where the window fits."""
    x, y = ((image.float() / 255 @ torch.tensor(_LUMA))[None, None] for image in (one, other))
    mean_x, mean_y = _blurred(x), _blurred(y)
    variance_x, variance_y = _blurred(x * x) - mean_x**2, _blurred(y * y) - mean_y**2
    covariance = _blurred(x * y) - mean_x * mean_y
    alike = (2 * mean_x * mean_y + _C1) * (2 * covariance + _C2)
    return float((alike / ((mean_x**2 + mean_y**2 + _C1) * (variance_x + variance_y + _C2))).mean())


def difference_map(one: Tensor, other: Tensor) -> Tensor:
    """Where two pictures differ, uint8 [h, w, 3]: black for the same, light yellow for the largest difference that there can be.

    Colours go with the square root of the mean difference of a pixel's colours, so that small ones are seen; the same
    colour is the same difference on every map.
    """
    at = (one.int() - other.int()).abs().float().mean(-1).div(255).sqrt() * (len(_COLOURS) - 1)
    colours = torch.tensor(_COLOURS, dtype=torch.float32)
    below = at.floor().clamp(max=len(_COLOURS) - 2)
    start, end = colours[below.long()], colours[below.long() + 1]
    return (start + (end - start) * (at - below)[..., None]).round().byte()


def _blurred(image: Tensor) -> Tensor:
    """A Gaussian mean [1, 1, h', w'] around each place where the window fits."""
    for dim in (2, 3):
        size = min(_WINDOW, image.shape[dim])
        along = torch.exp(-((torch.arange(size, dtype=image.dtype) - (size - 1) / 2) ** 2) / (2 * _SIGMA**2))
        image = F.conv2d(image, (along / along.sum()).view(1, 1, *((size, 1) if dim == 2 else (1, size))))
    return image

"""Aspect-ratio buckets: which size a picture is brought to, by the rules of kohya's trainers (sd-scripts, BucketManager)."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

#: (width, height) in pixels.
Size = tuple[int, int]


def bucket_sizes(resolution: Size, minimum: int, maximum: int, step: int) -> list[Size]:
    """All sizes of about as many pixels as ``resolution``, with sides from ``minimum`` to ``maximum`` in steps."""
    area = resolution[0] * resolution[1]
    square = int(math.sqrt(area) // step) * step
    sizes = {(square, square)}
    for side in range(minimum, maximum + 1, step):
        other = min(maximum, area // side // step * step)
        if other >= minimum:
            sizes |= {(side, other), (other, side)}
    return sorted(sizes)


@dataclass(frozen=True)
class Buckets:
    """Chooses a bucket for each picture.

    ``resolution``: the budget, (width, height). ``minimum``, ``maximum``: of a bucket's sides, brought to multiples of
    ``step``. ``no_upscale``: pictures within the budget keep their size, apart from a crop to multiples of ``step``, and
    ``minimum`` and ``maximum`` do not count. ``several`` False: one bucket, the resolution itself.
    Raises ValueError for a resolution outside ``minimum`` .. ``maximum`` or a step that is no multiple of 8.
    """

    resolution: Size
    minimum: int = 256
    maximum: int = 2048
    step: int = 64
    no_upscale: bool = False
    several: bool = True
    sizes: tuple[Size, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.step < 8 or self.step % 8:
            raise ValueError(f"The buckets' step is {self.step}, expected a multiple of 8.")
        if any(side < 64 or side % 8 for side in self.resolution):
            raise ValueError(
                f"The resolution is {_shown(self.resolution)}, expected multiples of 8 from 64 on. SDXL was trained at about 1024x1024."
            )
        minimum, maximum = self.minimum - self.minimum % self.step, self.maximum + -self.maximum % self.step
        if self.several and not (max(minimum, 1) <= min(self.resolution) and max(self.resolution) <= maximum):
            raise ValueError(
                f"The resolution is {_shown(self.resolution)}, expected sides from the smallest ({minimum}) to the largest side of a "
                f"bucket ({maximum}). Change the resolution or those limits."
            )
        sizes = [self.resolution]
        if self.several:
            sizes = bucket_sizes(self.resolution, max(minimum, self.step), maximum, self.step)
        object.__setattr__(self, "sizes", tuple(sizes))

    def choose(self, picture: Size) -> tuple[Size, Size]:
        """(bucket, size that the picture is resized to before it is cropped to the bucket)."""
        if self.no_upscale and self.several:
            resized = self._shrunk(picture)
            return (resized[0] - resized[0] % self.step, resized[1] - resized[1] % self.step), resized
        width, height = picture
        bucket = picture
        if picture not in self.sizes:
            bucket = min(self.sizes, key=lambda size: abs(size[0] / size[1] - width / height))
        by_height = width / height > bucket[0] / bucket[1]
        scale = bucket[1] / height if by_height else bucket[0] / width
        return bucket, (int(width * scale + 0.5), int(height * scale + 0.5))

    def _shrunk(self, picture: Size) -> Size:
        width, height = picture
        area = self.resolution[0] * self.resolution[1]
        if width * height <= area:
            return picture
        ratio = width / height
        # One side becomes a multiple of the step: the one that keeps the ratio better.
        wide = self._rounded(math.sqrt(area * ratio))
        high = self._rounded(area / math.sqrt(area * ratio))
        by_width = abs(wide / self._rounded(wide / ratio) - ratio)
        by_height = abs(self._rounded(high * ratio) / high - ratio)
        return (wide, int(wide / ratio + 0.5)) if by_width < by_height else (int(high * ratio + 0.5), high)

    def _rounded(self, side: float) -> int:
        whole = int(side + 0.5)
        return max(whole - whole % self.step, self.step)


def crop_told(bucket: Size, picture: Size) -> tuple[int, int, int]:
    """(left, top, right) that SDXL is told of the crop: where the whole picture would lie inside the bucket."""
    ratio = picture[0] / picture[1]
    width, height = (bucket[1] * ratio, bucket[1]) if bucket[0] / bucket[1] > ratio else (bucket[0], bucket[0] / ratio)
    left, top = (bucket[0] - width) // 2, (bucket[1] - height) // 2
    return int(left), int(top), left + width  # the right edge is a fraction until the flip is known


def _shown(size: Size) -> str:
    return f"{size[0]}x{size[1]}"

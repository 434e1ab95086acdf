"""Where a picture lies in its training example: resized, cropped, and what SDXL is told of it."""

from __future__ import annotations

import random
from dataclasses import dataclass

from .buckets import Buckets, Size, crop_told

MINIMUM_SIDE = 64
#: What SDXL was trained at, in pixels, and how many times fewer or more are still called near.
SDXL_AREA, NEAR = 1024 * 1024, 2.0
SIZE_NAMES = ("width", "height", "crop_w", "crop_h", "target_width", "target_height")


@dataclass(frozen=True)
class Frame:
    """Sizes in pixels, (width, height). ``kept`` is cropped from ``resized``, which is made of ``original``.

    ``told``: (left, top, right) that SDXL is told of the crop whatever it is; None: it is told the crop itself.
    """

    original: Size
    resized: Size
    kept: Size
    told: tuple[int, int, float] | None = None

    @classmethod
    def of(cls, size: Size, buckets: Buckets | None, name: str) -> Frame:
        """For a picture of this size: in its bucket, or as it is but for a central crop to multiples of 8.

        Raises ValueError for a picture that gives less than 64 pixels on a side.
        """
        if buckets is None:
            frame = cls(size, size, (size[0] - size[0] % 8, size[1] - size[1] % 8))
        else:
            bucket, resized = buckets.choose(size)
            frame = cls(size, resized, bucket, crop_told(bucket, size) if min(bucket) else None)
        if min(frame.kept) < MINIMUM_SIDE:
            made = "" if buckets is None else f", which its bucket makes {frame.kept[0]}x{frame.kept[1]}"
            raise ValueError(
                f"{name[:1].upper() + name[1:]} is {size[0]}x{size[1]} pixels{made}, expected at least {MINIMUM_SIDE} on each "
                "side. Use a larger picture: SDXL was trained at about 1024x1024."
            )
        return frame

    @property
    def centre(self) -> tuple[int, int]:
        """(left, top) of the central crop."""
        return (self.resized[0] - self.kept[0]) // 2, (self.resized[1] - self.kept[1]) // 2

    def anywhere(self, draws: random.Random) -> tuple[int, int]:
        """(left, top) of a random crop."""
        left, top = (whole - part for whole, part in zip(self.resized, self.kept))
        return draws.randint(0, left) if left else 0, draws.randint(0, top) if top else 0

    def sizes(self, corner: tuple[int, int], flipped: bool = False) -> dict[str, int]:
        """SDXL's size conditioning, for the crop with this (left, top) corner."""
        left, top = corner
        right = self.resized[0] - self.kept[0] - left
        if self.told is not None:
            left, top = self.told[:2]
            right = int(self.kept[0] - self.told[2])
        return dict(zip(SIZE_NAMES, (*self.original, right if flipped else left, top, *self.kept)))

    @property
    def note(self) -> str | None:
        """What was done to the picture, in words, when it was only cropped."""
        if self.told is not None or self.kept == self.resized:
            return None
        return (
            f"was cropped centrally from {self.original[0]}x{self.original[1]} to {self.kept[0]}x{self.kept[1]} pixels."
        )

    @property
    def is_far_from_sdxl(self) -> bool:
        """Whether the example has less than half or more than twice the pixels that SDXL was trained at."""
        return not 1 / NEAR <= self.kept[0] * self.kept[1] / SDXL_AREA <= NEAR

"""Pictures that are to be encoded, and examples, which are."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from torch import Tensor

from ..digests import digest_of
from .captions import as_prompt, check_caption
from .frames import Frame
from .options import TrainingOptions
from .pixels import resized


class Source(Protocol):
    """Where a picture's pixels are: in memory, or in a file that is read when it is needed."""

    def read(self) -> tuple[Tensor, Tensor | None]:
        """Pixels [h, w, 3] and mask [h, w], both in 0..1; None: all of it counts."""

    def fingerprint(self) -> str:
        """Of all that :meth:`read` depends on."""


@dataclass(frozen=True)
class InMemory:
    """Pixels [h, w, 3] and mask [h, w] or None."""

    image: Tensor
    mask: Tensor | None = None

    def read(self) -> tuple[Tensor, Tensor | None]:
        return self.image, self.mask

    def fingerprint(self) -> str:
        return digest_of((self.image, self.mask))


class Crop(NamedTuple):
    """A part of a picture: its (left, top), and whether it is mirrored then."""

    corner: tuple[int, int]
    flipped: bool


@dataclass(frozen=True)
class Version:
    """What samples of one picture can differ in. ``prompt``: the caption, for the host."""

    crop: Crop
    prompt: str


@dataclass(frozen=True)
class Picture:
    """An image and its caption. ``name``: for errors. ``repeats``: in an epoch."""

    source: Source
    caption: str
    frame: Frame
    name: str
    options: TrainingOptions = field(default_factory=TrainingOptions)
    repeats: int = 1

    def version(self, draws: random.Random | None = None) -> Version:
        """One drawn version, or the plain one: not flipped, cropped centrally, its caption worded by an arbitrary draw."""
        options = self.options
        flipped = draws is not None and options.flip and draws.random() < 0.5
        corner = self.frame.anywhere(draws) if draws is not None and options.random_crop else self.frame.centre
        caption = options.wording.word(self.caption, draws or random.Random(0))
        caption = check_caption(caption, self.name, options.literal)
        return Version(Crop(corner, flipped), as_prompt(caption, options.literal))

    def read(self) -> tuple[Tensor, Tensor | None]:
        """Pixels [h, w, 3] and mask [h, w] at the size that versions are cropped from."""
        pixels, mask = self.source.read()
        return resized(pixels, self.frame.resized), None if mask is None else resized(
            mask[:, :, None], self.frame.resized
        )[:, :, 0]

    def cut(self, image: Tensor, crop: Crop) -> Tensor:
        """A part of what :meth:`read` gives, pixels or mask."""
        left, top = crop.corner
        width, height = self.frame.kept
        part = image[top : top + height, left : left + width]
        return part.flip(1) if crop.flipped else part

    @property
    def pixels(self) -> Tensor:
        """Pixels [h, w, 3] of the plain version."""
        return self.cut(self.read()[0], self.version().crop)

    @property
    def sizes(self) -> dict[str, int]:
        """SDXL's size conditioning of the plain version, in pixels."""
        return self.frame.sizes(self.frame.centre)


@dataclass(frozen=True)
class Example:
    """An encoded picture. ``latent`` [4, h, w] in the VAE's scale; ``context`` [tokens, c]; ``pooled`` [p].

    ``sizes``: SDXL's size conditioning, in pixels. ``caption``: as a prompt for the host; None when the conditioning came
    ready-made. ``mask`` [h, w] in 0..1: what counts in the loss, None for all. ``weight``: of its loss. ``max_tokens``: of the caption, see TrainingOptions.
    """

    latent: Tensor
    context: Tensor
    pooled: Tensor
    sizes: dict[str, int]
    caption: str | None = None
    mask: Tensor | None = None
    weight: float = 1.0
    name: str = ""
    repeats: int = 1
    max_tokens: int = 0

"""How training pictures and captions are prepared."""

from __future__ import annotations

import math
from dataclasses import dataclass

from PIL import ImageColor

from .buckets import Buckets
from .pixels import IGNORE, MASK
from .wording import Wording

#: Tokens of a caption that kohya's trainers read: one, two or three times what CLIP holds. 0: all, as ComfyUI does.
TOKEN_LIMITS = (0, 75, 150, 225)


@dataclass(frozen=True)
class TrainingOptions:
    """Of some pictures. Bad values raise ValueError with the field, the value and what is allowed.

    ``width``, ``height``: the budget of pixels that pictures are brought to; 0 for both: they stay as they are, but for a
    central crop to multiples of 8. ``buckets``: to the bucket nearest to their own aspect ratio, whose sides go from
    ``smallest`` to ``largest`` by ``step``, and never enlarged with ``no_upscale``; else all to width x height itself.
    ``flip``: half of the samples are mirrored. ``random_crop``: what is cut off differs from sample to sample.
    ``alpha``: "mask" makes the loss count opaque pixels only, "ignore" drops it, a colour is laid behind it.
    ``prefix`` to ``secondary_separator``: see :class:`Wording`. ``literal``: brackets in captions are plain characters, as
    for kohya's trainers, and weigh no words. ``max_tokens``: see TOKEN_LIMITS.
    ``weight``: of the pictures' loss; ``repeats``: how often each comes in an epoch. ``regularisation``: they show what
    the LoRA should leave alone; they are repeated until there are as many as others, and their loss counts
    ``prior_weight`` times. ``variants``: how many versions of a picture are prepared where samples differ.
    """

    width: int = 0
    height: int = 0
    buckets: bool = True
    smallest: int = 256
    largest: int = 2048
    step: int = 64
    no_upscale: bool = False
    flip: bool = False
    random_crop: bool = False
    alpha: str = "white"
    prefix: str = ""
    suffix: str = ""
    dropout: float = 0.0
    wildcards: bool = False
    all_lines: bool = False
    shuffle: bool = False
    tag_dropout: float = 0.0
    separator: str = ","
    keep_tokens: int = 0
    keep_separator: str = ""
    secondary_separator: str = ""
    literal: bool = False
    max_tokens: int = 0
    weight: float = 1.0
    repeats: int = 1
    regularisation: bool = False
    prior_weight: float = 1.0
    variants: int = 16

    def __post_init__(self) -> None:
        self._check("separator", bool(self.separator), "a text that is not empty")
        self._check("max_tokens", self.max_tokens in TOKEN_LIMITS, f"one of {TOKEN_LIMITS}")
        self._check("keep_tokens", self.keep_tokens >= 0, "a number of at least 0")
        for field in ("repeats", "variants"):
            self._check(field, getattr(self, field) >= 1, "a number of at least 1")
        for field in ("dropout", "tag_dropout"):
            self._check(field, 0 <= getattr(self, field) <= 1, "a chance from 0 to 1")
        for field in ("weight", "prior_weight"):
            value = getattr(self, field)
            self._check(field, math.isfinite(value) and value >= 0, "a finite number of at least 0")
        self._check(
            "alpha",
            self.alpha in (IGNORE, MASK) or _is_colour(self.alpha),
            f"{IGNORE}, {MASK}, or a colour (white, #rrggbb)",
        )
        self._check("height", bool(self.width) == bool(self.height), "0 where width is 0, else a number of pixels")
        self.chooser()

    def _check(self, field: str, good: bool, allowed: str) -> None:
        if not good:
            raise ValueError(f"TrainingOptions: {field} is {getattr(self, field)!r}, expected {allowed}.")

    def chooser(self) -> Buckets | None:
        """Of the pictures' sizes; None when they stay as they are."""
        if not self.width:
            return None
        return Buckets((self.width, self.height), self.smallest, self.largest, self.step, self.no_upscale, self.buckets)

    def wording(self) -> Wording:
        names = Wording.__dataclass_fields__
        return Wording(**{name: getattr(self, name) for name in names})

    @property
    def loss_weight(self) -> float:
        return self.weight * (self.prior_weight if self.regularisation else 1.0)

    @property
    def varies(self) -> bool:
        """Whether samples of one picture can differ."""
        return self.flip or self.random_crop or self.wording().varies


def _is_colour(text: str) -> bool:
    try:
        ImageColor.getrgb(text)
    except ValueError:
        return False
    return True

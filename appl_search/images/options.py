"""How training pictures and captions are prepared."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from PIL import ImageColor

from ..settings.declaration import TRAINING, check, require, setting
from .buckets import Buckets
from .pixels import IGNORE, MASK
from .wording import Wording


@dataclass(frozen=True)
class TrainingOptions:
    """Of some pictures. Bad values raise ValueError with the field, the value and what is allowed.

    The fields from ``prefix`` to ``secondary_separator`` are those of :class:`Wording`.
    """

    width: int = setting(
        0,
        help="Bring every image to about this size, with height: 1024 and 1024 are SDXL's. 0: images stay as they are, but for a "
        "central crop to multiples of 8.",
        group=TRAINING, minimum=0, maximum=8192, multiple_of=8, step=8,
    )  # fmt: skip
    height: int = setting(
        0, help="The other side of that size.", group=TRAINING, minimum=0, maximum=8192, multiple_of=8, step=8
    )
    buckets: bool = setting(
        True,
        help="Images keep their aspect ratio, about: each goes to the nearest of many sizes with as many pixels as width and "
        "height have, as kohya's trainers do it. Off: all are cropped to exactly width and height.",
        group=TRAINING,
    )  # fmt: skip
    smallest: int = setting(
        256, help="The shortest side of a bucket.", group=TRAINING, minimum=64, maximum=8192, step=8
    )
    largest: int = setting(2048, help="The longest side of a bucket.", group=TRAINING, minimum=64, maximum=8192, step=8)
    step: int = setting(
        64,
        help="Sides of buckets are multiples of this.",
        group=TRAINING,
        minimum=8,
        maximum=1024,
        multiple_of=8,
        step=8,
    )
    no_upscale: bool = setting(
        False,
        help="Small images are not enlarged: they keep their size, cropped to multiples of step. With buckets only.",
        group=TRAINING,
    )  # fmt: skip
    flip: bool = setting(False, help="Half of the samples see the image mirrored.", group=TRAINING)
    random_crop: bool = setting(
        False,
        help="What an image loses when it is cropped to its size differs from sample to sample, instead of being the same at "
        "both ends.",
        group=TRAINING,
    )  # fmt: skip
    alpha: str = setting(
        "white",
        help="What an alpha channel means: a colour (a name, or a hash sign and six digits) is laid behind the image; mask: the "
        "loss counts where the image is opaque; ignore: it is dropped, and what it hides counts.",
        group=TRAINING,
    )  # fmt: skip
    prefix: str = setting("", help="Put before every caption, with a space.", group=TRAINING)
    suffix: str = setting("", help="Put behind every caption, with a space.", group=TRAINING)
    dropout: float = setting(
        0.0, help="Chance of a sample to have no caption at all.", group=TRAINING, minimum=0, maximum=1, step=0.01
    )
    wildcards: bool = setting(
        False,
        help="Each sample takes one of the words in curly brackets that have bars between them, and one of the lines of a "
        "caption with several. Doubled brackets are plain ones.",
        group=TRAINING,
    )  # fmt: skip
    all_lines: bool = setting(
        False, help="All lines of a caption file count. Off: its first one, as for kohya's trainers.", group=TRAINING
    )
    shuffle: bool = setting(False, help="The tags of a caption come in another order for each sample.", group=TRAINING)
    tag_dropout: float = setting(
        0.0, help="Chance of each tag to be left out of a sample.", group=TRAINING, minimum=0, maximum=1, step=0.01
    )
    separator: str = setting(",", help="What stands between tags.", group=TRAINING)
    keep_tokens: int = setting(
        0,
        help="As many tags at the start keep their place and are never left out.",
        group=TRAINING,
        minimum=0,
        maximum=255,
    )
    keep_separator: str = setting(
        "",
        help="In captions that have this text the tags before it stay, and those behind a second one, instead of keep_tokens.",
        group=TRAINING,
    )  # fmt: skip
    secondary_separator: str = setting(
        "", help="Stands in captions between tags that stay together; it becomes separator in the end.", group=TRAINING
    )
    literal: bool = setting(
        False,
        help="Brackets in captions are plain text, as for kohya's trainers. Off: they weigh words, as in ComfyUI's prompts.",
        group=TRAINING,
    )  # fmt: skip
    max_tokens: int = setting(
        0,
        help="Captions are read up to this many tokens, in parts of 75 put together as kohya's trainers do. 0: whole captions, "
        "as ComfyUI reads prompts.",
        group=TRAINING, minimum=0, maximum=225, multiple_of=75, step=75,
    )  # fmt: skip
    weight: float = setting(
        1.0, help="How much the loss of these images counts.", group=TRAINING, minimum=0, maximum=1000, step=0.05
    )
    repeats: int = setting(
        1, help="How often each image comes before all have come again.", group=TRAINING, minimum=1, maximum=10000
    )
    regularisation: bool = setting(
        False,
        help="These images show what should stay as it is. They are repeated until there are as many as other images.",
        group=TRAINING,
    )  # fmt: skip
    prior_weight: float = setting(
        1.0,
        help="How much the loss of regularisation images counts.",
        group=TRAINING,
        minimum=0,
        maximum=1000,
        step=0.05,
    )
    variants: int = setting(
        16,
        help="Of each image as many versions are prepared when samples differ, by flips, crops or captions. Each is encoded once.",
        group=TRAINING, minimum=1, maximum=1000,
    )  # fmt: skip
    disk_cache: bool = setting(
        False,
        help="What images and captions are encoded to is kept on disk: the next search on them begins at once, also with other "
        "LoRAs, and thousands of images or versions need no more memory than a few.",
        group=TRAINING, added_later=True, compare=False,
    )  # fmt: skip

    def __post_init__(self) -> None:
        check(self)
        require(self, "separator", bool(self.separator), "a text that is not empty")
        require(
            self,
            "alpha",
            self.alpha in (IGNORE, MASK) or _is_colour(self.alpha),
            f"{IGNORE}, {MASK}, or a colour (white, #rrggbb)",
        )
        require(self, "height", bool(self.width) == bool(self.height), "0 where width is 0, else a number of pixels")
        _ = self.chooser  # raises for sizes that do not go together

    @cached_property
    def chooser(self) -> Buckets | None:
        """Of the pictures' sizes; None when they stay as they are."""
        if not self.width:
            return None
        return Buckets((self.width, self.height), self.smallest, self.largest, self.step, self.no_upscale, self.buckets)

    @cached_property
    def wording(self) -> Wording:
        """What is done to captions."""
        return Wording(**{name: getattr(self, name) for name in Wording.__dataclass_fields__})

    @property
    def loss_weight(self) -> float:
        """Of each of the pictures."""
        return self.weight * (self.prior_weight if self.regularisation else 1.0)

    @property
    def varies(self) -> bool:
        """Whether samples of one picture can differ."""
        return self.flip or self.random_crop or self.wording.varies


def _is_colour(text: str) -> bool:
    try:
        ImageColor.getrgb(text)
    except ValueError:
        return False
    return True

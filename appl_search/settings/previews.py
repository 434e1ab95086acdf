"""The settings of preview pictures."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass

from .declaration import PREVIEWS, check, setting


@dataclass(frozen=True)
class PreviewSettings:
    """Pictures to sample while a search runs. Bad values raise ValueError with the field, the value and what is allowed.

    ComfyUI's KSampler makes the same picture of the same settings and block weights.
    """

    prompt: str = setting(
        help="What to make pictures of. A searched LoRA may need its trigger word here.",
        group=PREVIEWS, widget={"default": "", "multiline": True},
    )  # fmt: skip
    negative: str = setting("", help="The negative prompt.", group=PREVIEWS, widget={"multiline": True})
    _: KW_ONLY
    every: int = setting(
        64,
        help="Samples of the search from one picture to the next. There is always one at the start, and one with what was "
        "found. A picture of 20 steps takes about as long as 15 samples of its size.",
        group=PREVIEWS, minimum=1, widget={"max": 1_000_000},
    )  # fmt: skip
    width: int = setting(
        1024,
        help="Of the pictures, in pixels.",
        group=PREVIEWS, minimum=8, multiple_of=8, step=8, widget={"min": 64, "max": 8192},
    )  # fmt: skip
    height: int = setting(
        1024,
        help="Of the pictures, in pixels.",
        group=PREVIEWS, minimum=8, multiple_of=8, step=8, widget={"min": 64, "max": 8192},
    )  # fmt: skip
    steps: int = setting(20, help="Of the sampler, as in KSampler.", group=PREVIEWS, minimum=1, widget={"max": 1000})
    cfg: float = setting(
        7.0,
        help="Classifier-free guidance, as in KSampler.",
        group=PREVIEWS, minimum=0, step=0.1, widget={"max": 100.0},
    )  # fmt: skip
    sampler: str = setting("euler", help="As in KSampler.", group=PREVIEWS, widget_name="sampler_name")
    scheduler: str = setting("normal", help="As in KSampler.", group=PREVIEWS)
    seed: int = setting(
        0,
        help="Of the pictures' noise, as KSampler's seed. The search has a seed of its own.",
        group=PREVIEWS, minimum=0, maximum=2**64 - 1, widget_name="picture_seed",
    )  # fmt: skip

    def __post_init__(self) -> None:
        check(self)

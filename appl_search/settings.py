"""What a user may choose about a search and its preview pictures."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, fields

METHODS = ("gauss-newton", "adamw")
LR_SCHEDULES = ("constant", "cosine")


def _check(settings: object, field: str, good: bool, allowed: str) -> None:
    if not good:
        raise ValueError(f"{type(settings).__name__}: {field} is {getattr(settings, field)!r}, expected {allowed}.")


@dataclass(frozen=True)
class SearchSettings:
    """Settings of one search. Bad values raise ValueError with the field, the value and what is allowed.

    ``method``: "gauss-newton" or "adamw". ``samples``: total number of (image, timestep, noise)
    draws. ``batch_size``: draws per step. ``penalty``: weight of sum |rate| in the objective;
    ``negative_penalty``: how much more a negative rate costs, on top (10: it costs 11 times as much).
    ``minimum``, ``maximum``: bounds of every rate, None for no bound. ``init``: rate to start from.
    ``learning_rate``, ``lr_schedule``, ``weight_decay``: of adamw only. ``validation``: of adamw only;
    fresh draws on which its last rates and the mean of the later ones are compared at the end, 0 for the
    last ones whatever they are worth. ``tolerance``: of gauss-newton only; it stops before ``samples`` are
    used up when more of them can be expected to lower the loss by less than this part of it, 0 for never.
    ``min_snr_gamma``: weights the loss of each timestep by min-SNR-gamma, None for no weighting. ``seed``:
    of the draws.
    """

    method: str = "gauss-newton"
    samples: int = 320
    batch_size: int = 16
    learning_rate: float = 0.1
    lr_schedule: str = "cosine"
    weight_decay: float = 0.0
    validation: int = 64
    tolerance: float = 5e-4
    init: float = 0.5
    penalty: float = 1e-4
    negative_penalty: float = 10.0
    minimum: float | None = None
    maximum: float | None = None
    min_snr_gamma: float | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        _check(self, "method", self.method in METHODS, f"one of {', '.join(METHODS)}")
        _check(self, "lr_schedule", self.lr_schedule in LR_SCHEDULES, f"one of {', '.join(LR_SCHEDULES)}")
        for field in ("samples", "batch_size"):
            value = getattr(self, field)
            _check(self, field, isinstance(value, int) and value >= 1, "a whole number of at least 1")
        _check(self, "seed", isinstance(self.seed, int) and 0 <= self.seed < 2**64, "a whole number from 0 to 2**64 - 1")
        _check(self, "learning_rate", self._finite("learning_rate") and self.learning_rate > 0, "a number above 0")
        _check(self, "init", self._finite("init"), "a finite number")
        _check(self, "validation", isinstance(self.validation, int) and self.validation >= 0, "a whole number of at least 0")
        for field in ("weight_decay", "tolerance", "penalty", "negative_penalty"):
            _check(self, field, self._finite(field) and getattr(self, field) >= 0, "a number of at least 0")
        for field in ("minimum", "maximum"):
            _check(self, field, getattr(self, field) is None or self._finite(field), "a finite number or None")
        gamma = self.min_snr_gamma
        _check(self, "min_snr_gamma", gamma is None or (self._finite("min_snr_gamma") and gamma > 0), "a number above 0 or None")
        if self.minimum is not None and self.maximum is not None:
            _check(self, "minimum", self.minimum <= self.maximum, f"a number of at most maximum ({self.maximum})")

    def _finite(self, field: str) -> bool:
        value = getattr(self, field)
        return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)

    @property
    def steps(self) -> int:
        """Number of batches; the last one is smaller when ``samples`` is no multiple of ``batch_size``."""
        return -(-self.samples // self.batch_size)

    @classmethod
    def from_dict(cls, data: dict) -> SearchSettings:
        """The inverse of :meth:`to_dict`; ValueError for a setting that there is not."""
        if unknown := set(data) - {field.name for field in fields(cls)}:
            raise ValueError(f"SearchSettings: there is no setting named {', '.join(sorted(unknown))}.")
        return cls(**data)

    def to_dict(self) -> dict:
        return asdict(self)


@dataclass(frozen=True)
class PreviewSettings:
    """Pictures to sample while a search runs. Bad values raise ValueError with the field, the value and what is allowed.

    ``every``: samples of the search from one picture to the next. ``width``, ``height``: in pixels. ``steps``,
    ``cfg``, ``sampler``, ``scheduler``, ``seed``: as ComfyUI's KSampler has them, which makes the same picture of
    them with the same block weights.
    """

    prompt: str
    negative: str = ""
    every: int = 64
    width: int = 1024
    height: int = 1024
    steps: int = 20
    cfg: float = 7.0
    sampler: str = "euler"
    scheduler: str = "normal"
    seed: int = 0

    def __post_init__(self) -> None:
        for field in ("every", "steps"):
            _check(self, field, getattr(self, field) >= 1, "at least 1")
        for field in ("width", "height"):
            _check(self, field, getattr(self, field) >= 8 and getattr(self, field) % 8 == 0, "a multiple of 8")
        _check(self, "cfg", math.isfinite(self.cfg) and self.cfg >= 0, "a number of at least 0")
        _check(self, "seed", 0 <= self.seed < 2**64, "a whole number from 0 to 2**64 - 1")

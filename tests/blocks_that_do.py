"""Ablations and likenesses whose numbers are chosen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch

from appl_search.comparing.ablation import ALL, PICTURES, THIRD_NAMES, TIMESTEPS, Ablation, Group
from appl_search.comparing.likeness import Likeness
from appl_search.comparing.units import Unit


def ablation(
    rises: Mapping[tuple[int, tuple[int, ...]], Sequence[float]], whole: Sequence[float], at_one: float = 0.01, error: float = 0.001,
    pictures: Sequence[str] = (), is_measured: bool = False,
) -> Ablation:  # fmt: skip
    """``rises``: of (LoRA, blocks) at 0, in details, form, composition and then each group of pictures; the first of ``whole`` LoRAs.

    All intervals are of half the width ``error``, and the loss is 0.2.
    """
    kinds = [*((name, TIMESTEPS) for name in THIRD_NAMES), *((name, PICTURES) for name in pictures)]
    groups = (Group(ALL, ALL, 1.0), *(Group(name, kind, 1 / (3 if kind == TIMESTEPS else len(pictures))) for name, kind in kinds))
    at_zero = torch.tensor([[sum(of[:3]) / 3, *of] for of in rises.values()], dtype=torch.float64)
    rise = torch.stack([at_zero, torch.full_like(at_zero, at_one)], 1)
    wholes = torch.tensor(whole, dtype=torch.float64)[:, None].expand(-1, len(groups)).clone()
    return Ablation(
        units=tuple(Unit(*unit) for unit in rises),
        groups=groups,
        losses=torch.full((len(groups),), 0.2, dtype=torch.float64),
        rise=rise,
        low=rise - error,
        high=rise + error,
        whole=wholes,
        whole_low=wholes - error,
        whole_high=wholes + error,
        is_measured=is_measured,
        samples=48,
        pictures=6,
    )


def likeness(units: Sequence[Unit], pairs: Mapping[tuple[int, int], float], error: float = 0.1) -> Likeness:
    """Of these pairs of units; all others have nothing to do with each other."""
    cosine = torch.eye(len(units), dtype=torch.float64)
    for (one, other), value in pairs.items():
        cosine[one, other] = cosine[other, one] = value
    return Likeness(tuple(units), cosine, error * (1 - torch.eye(len(units), dtype=torch.float64)))

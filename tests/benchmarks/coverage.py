"""How near a search comes to rates that are known, and how often its intervals contain them (tests/planted_run.py)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from planted_run import PlantedEvaluator, searched
from torch import Tensor

from appl_search import SearchSettings

#: Twenty rates from 0 to 1.5.
BEST = torch.linspace(0, 1.5, 20, dtype=torch.float64)[None]
#: Numbers in a prediction; how much a rate of 1 changes each, beside an error of 1; and how far apart what the pictures want is. A
#: sample of SDXL has 65536 numbers at 1024 x 1024; what counts for the rates is numbers * change^2.
WORLDS = {
    "dim": (64, 0.1, 0.0),
    "clear": (64, 0.4, 0.0),
    "clear, many numbers": (1024, 0.25, 0.0),
    "clear, many numbers, pictures unlike": (1024, 0.25, 0.1),
}
NEAR = 0.02
#: The 95% point of the normal distribution: half the width of a 90% interval, in standard errors.
WIDTH_90 = 1.645


@dataclass(frozen=True)
class Row:
    """``distance``: root of the mean square from what is best for the pictures of the search. ``near``: part of the rates within NEAR of
    it; ``all_near``: part of the repeats where all are. ``held``: part of the 90% intervals that contain it.
    """

    world: str
    repeats: int
    distance: float
    largest: float
    near: float
    all_near: float
    held: float


def measure(repeats: int) -> Iterator[Row]:
    """Searches of 320 samples without a penalty, each with a world, pictures and draws of its own."""
    for world, kind in WORLDS.items():
        found = [_search(*kind, seed) for seed in range(repeats)]
        off, errors = (torch.stack(each) for each in zip(*found))
        yield Row(
            world=world,
            repeats=repeats,
            distance=float(off.square().mean().sqrt()),
            largest=float(off.abs().max()),
            near=_part(off.abs() <= NEAR),
            all_near=_part((off.abs() <= NEAR).all(1)),
            held=_part(off.abs() <= WIDTH_90 * errors),
        )


def _search(outputs: int, strength: float, unlike: float, seed: int) -> tuple[Tensor, Tensor]:
    """How far off each rate is, and its standard error."""
    settings = SearchSettings(seed=seed, penalty=0.0, tolerance=0.0, held_out=0.0, comparison=0, check_gradient=False)
    evaluator = PlantedEvaluator(BEST, 10, settings, seed, unlike, strength, outputs)
    (weights,) = searched(evaluator, settings).block_weights
    return torch.tensor(weights.values).double() - evaluator.wanted, torch.tensor(weights.stderr).double()


def _part(which: Tensor) -> float:
    return float(which.double().mean())

"""How often a search's verdict on itself is right, in worlds whose best rates are known (tests/planted_run.py)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from planted_run import PlantedEvaluator, searched

from appl_search import SearchSettings

#: Rates that are best: some blocks at 1 and the rest at 0; all at one strength; none, as of a LoRA that was trained on other things.
BESTS = {
    "some blocks": (torch.rand(1, 20, generator=torch.Generator().manual_seed(0)) > 0.7).double(),
    "one strength": torch.full((1, 20), 0.6, dtype=torch.float64),
    "no LoRA": torch.zeros(1, 20, dtype=torch.float64),
}
#: Ten: two are kept out. Five: each judged without it. One: nothing can be said of others.
PICTURES = (10, 5, 1)


@dataclass(frozen=True)
class Row:
    """``verdicts``: how often each was given. ``right``: part of the repeats with one that is true."""

    best: str
    pictures: int
    repeats: int
    verdicts: dict[str, int]
    right: float


def measure(repeats: int) -> Iterator[Row]:
    """Searches of 320 samples, each with a world, pictures and draws of its own."""
    for best, rates in BESTS.items():
        for pictures in PICTURES:
            counts = Counter(_verdict(rates, pictures, seed) for seed in range(repeats))
            true = {"better"} if best == "some blocks" else {"same", "worse"}
            if pictures == 1:
                true = {"unknown", "same", "worse"}  # anything that claims nothing for other pictures
            right = sum(count for kind, count in counts.items() if kind in true) / repeats
            yield Row(best, pictures, repeats, dict(counts), right)


def _verdict(rates: torch.Tensor, pictures: int, seed: int) -> str:
    settings = SearchSettings(seed=seed, tolerance=0.0, check_gradient=False)
    return searched(PlantedEvaluator(rates, pictures, settings, seed), settings).verdict.kind

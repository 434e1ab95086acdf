"""The whole search where the true rates are known: the tiny SDXL's own predictions at those rates are the targets."""

from __future__ import annotations

from functools import lru_cache

import pytest
import torch

from appl_search import LoraSource, Models, SearchSettings, Task, TrainingSet, open_search
from appl_search.gradients.draws import RecordedDraws
from appl_search.gradients.evaluator import opened
from tests import oracle
from tests.methods.planted_model import planted

#: What the model cannot predict: 0.01 in the mean of the square, a tenth of what the demo's model misses. A sample has 256 numbers
#: here, and 65536 with pictures of 1024 x 1024: for each sample the rates are no easier to see than there, if errors are white.
ERROR = 0.1


@lru_cache(maxsize=1)
def world() -> tuple[Task, torch.Tensor]:
    """320 samples with true rates between 0 and 1.5, in tenths, and those rates [1, blocks]."""
    small = TrainingSet.from_latents({"samples": oracle.numbers("fixtures")["latents_raw"][..., :8, :8]}, oracle.conditioning())
    task = Task(
        models=Models(model=oracle.sdxl()),
        loras=[LoraSource(oracle.LORA_A)],
        images=small,
        settings=SearchSettings(penalty=0.0, tolerance=0.0),
    )
    with opened(task) as evaluator:
        rates = evaluator.rates
    drawn = torch.rand(len(rates), generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    best = rates.all_rates((1.5 * drawn).round(decimals=1))
    return planted(task, best, ERROR), best


def test_the_planted_rates_miss_what_was_added_and_others_miss_more():
    task, best = world()
    with opened(task) as evaluator:
        draw = RecordedDraws(task.draws, evaluator.timesteps).current()
        there, start = (evaluator.losses(draw, rates).mean() for rates in (best, torch.full_like(best, 0.5)))
    assert float(there) == pytest.approx(ERROR**2, rel=0.05)
    assert float(start) > 1.2 * float(there)


def test_320_samples_find_the_planted_rates():
    task, best = world()
    with open_search(task) as run:
        for _ in run:
            pass
        (found,) = run.finish().block_weights
    assert torch.tensor(found.values) == pytest.approx(best[0], abs=0.02)

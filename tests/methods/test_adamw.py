"""What AdamW does beyond the published algorithm, which test_published_program.py holds it to."""

from __future__ import annotations

import pytest
import torch

from appl_search.gradients.draws import Draws
from appl_search.searching.methods.adamw import AdamW
from appl_search.searching.validation import best_of
from appl_search.settings import SearchSettings
from tests.methods.planted import PlantedWorld

NOISY = SearchSettings(method="adamw", lr_schedule="constant", samples=320, batch_size=2, penalty=0.0)


def test_the_mean_of_the_later_half_is_steadier_than_the_last_iterate():
    last, mean = 0.0, 0.0
    for seed in range(5):
        world = PlantedWorld(8, seed)
        method = world.run(AdamW, NOISY)
        last += float((method.solution() - world.best).norm())
        mean += float((method.candidates()[0] - world.best).norm())
    assert mean < 0.7 * last


def test_there_is_no_other_candidate_without_validation():
    assert PlantedWorld(8).run(AdamW, SearchSettings(method="adamw", samples=8, batch_size=2, validation=0)).candidates() == []


@pytest.mark.parametrize("better", [0.2, 0.9])
def test_the_candidate_with_the_lower_objective_on_fresh_draws_is_taken(better):
    solution, other = torch.tensor([0.2], dtype=torch.float64), torch.tensor([0.9], dtype=torch.float64)
    draws = Draws([torch.Size([4, 2, 2])], samples=4, batch_size=3, seed=0)

    def best(price: float) -> float:
        return float(
            best_of(
                [solution, other],
                draws,
                lambda draw, rates: (rates - better).square().expand(len(draw)),
                lambda rates: price * float(rates.abs().sum()),
            )
        )

    assert best(0.01) == better
    draws.position = 0
    assert best(1.0) == 0.2

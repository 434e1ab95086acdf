"""Whole searches in worlds whose best rates are known: verdicts are right, and so is the penalty that a search chooses."""

from __future__ import annotations

from collections import Counter

import pytest
import torch

from appl_search import SearchSettings
from tests.planted_run import PlantedEvaluator, searched

VARIED = (torch.rand(1, 20, generator=torch.Generator().manual_seed(0)) > 0.7).double()
UNIFORM, NONE = torch.full((1, 20), 0.6), torch.zeros(1, 20)
REPEATS = 8


def in_world(best: torch.Tensor, pictures: int, seed: int, unlike: float = 0.1, **settings):
    settings = SearchSettings(seed=seed, check_gradient=False, **{"samples": 160, "tolerance": 0.0, **settings})
    evaluator = PlantedEvaluator(best, pictures, settings, seed, unlike=unlike)
    return evaluator, searched(evaluator, settings)


def verdicts(best: torch.Tensor, pictures: int, **settings) -> Counter:
    return Counter(in_world(best, pictures, seed, **settings)[1].verdict.kind for seed in range(REPEATS))


@pytest.mark.parametrize("pictures", [10, 5])
def test_a_search_that_brings_something_is_called_better(pictures):
    assert verdicts(VARIED, pictures) == {"better": REPEATS}


@pytest.mark.parametrize("pictures", [10, 5])
@pytest.mark.parametrize("best", [UNIFORM, NONE], ids=["one strength is best", "the LoRA is of no use"])
def test_a_search_that_brings_nothing_is_not_called_better(best, pictures):
    assert verdicts(best, pictures)["better"] <= 1


def test_of_a_lora_that_is_of_no_use_it_says_to_leave_it_out():
    said = in_world(NONE, 10, seed=0)[1].verdict
    assert said.kind in ("same", "worse") and said.instead.name == "no LoRA" and said.text.endswith(": use that.")


def test_one_picture_says_nothing_of_others():
    assert set(verdicts(VARIED, 1)) == {"unknown"}


def test_the_best_single_strength_of_a_method_without_a_model_is_found():
    result = in_world(UNIFORM, 10, seed=0, method="adamw")[1]
    (strength,) = result.comparison.candidates[-1].strengths
    assert strength == pytest.approx(0.6, abs=0.08)


def test_the_penalty_chosen_is_better_for_other_pictures_than_the_one_given():
    """Four pictures that each want something else around what all want: what is common is far nearer to 0."""
    better = 0
    for seed in range(4):
        rises = []
        for choose in (False, True):
            evaluator, result = in_world(VARIED, 4, seed, unlike=1.0, choose_penalty=choose)
            rises.append(evaluator.rise(torch.tensor([result.block_weights[0].values]), VARIED))
            assert (result.settings.penalty > 1e-4) == choose
        better += rises[1] < 0.7 * rises[0]
    assert better == 4


def test_the_path_of_penalties_goes_through_the_one_chosen():
    _, result = in_world(VARIED, 4, seed=0, unlike=1.0, choose_penalty=True)
    again = result.at_penalty(result.settings.penalty)
    assert again.block_weights[0].values == pytest.approx(result.block_weights[0].values, abs=1e-9)


def test_where_no_penalty_can_be_chosen_the_given_one_stays_and_that_is_said():
    _, result = in_world(VARIED, 1, seed=0, choose_penalty=True)
    assert result.settings.penalty == 1e-4
    assert any("The penalty is 0.0001, as given" in note for note in result.notes)

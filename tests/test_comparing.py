"""Losses compared on the same draws: intervals that hold what they promise, and verdicts that are right."""

from __future__ import annotations

import pytest
import torch

from appl_search.comparing.comparison import GIVEN, HELD_OUT, Candidate, Comparison, half_width
from appl_search.comparing.verdict import verdict
from appl_search.weights.fields import Fields

NAMES = [Candidate("found"), Candidate("no LoRA", (0.0,)), Candidate("the best single strength 0.60", (0.6,))]


def drawn(pictures: int, each: int, generator: torch.Generator, spread: float = 1.0) -> tuple[torch.Tensor, torch.Tensor]:
    """Values around 0 whose pictures differ by ``spread``, and which pictures they are of."""
    of = torch.arange(pictures).repeat_interleave(each)
    means = spread * torch.randn(pictures, generator=generator, dtype=torch.float64)
    return means[of] + torch.randn(pictures * each, generator=generator, dtype=torch.float64), of


@pytest.mark.parametrize("pictures, each", [(6, 10), (20, 3), (50, 1)])
def test_of_many_pictures_the_interval_holds_for_others_like_them(pictures, each):
    generator = torch.Generator().manual_seed(pictures)
    hits = 0
    for _ in range(1000):
        values, of = drawn(pictures, each, generator)
        hits += bool(values.mean().abs() <= half_width(values, of))
    assert 930 <= hits <= 970


@pytest.mark.parametrize("pictures", [1, 3])
def test_of_few_pictures_the_interval_holds_for_other_draws_of_them(pictures):
    generator = torch.Generator().manual_seed(pictures)
    hits = 0
    for _ in range(1000):
        values, of = drawn(pictures, 16, generator, spread=0.0)
        offset = torch.randn(pictures, generator=generator, dtype=torch.float64)
        hits += bool(values.mean().abs() <= half_width(values + 5 * offset[of], of))
    assert 930 <= hits <= 970


def test_an_interval_of_several_values_at_once_is_that_of_each():
    values, of = drawn(7, 4, torch.Generator().manual_seed(0))
    both = torch.stack([values, 2 * values])
    assert half_width(both, of).tolist() == pytest.approx([float(half_width(values, of)), float(half_width(2 * values, of))])


def compared(found: float, none: float, single: float, noise: tuple[float, float, float] = (0.01, 0.01, 0.01)) -> Comparison:
    """Three candidates with these mean losses, in common draws that differ far more than they do; ``noise``: of each its own."""
    generator = torch.Generator().manual_seed(0)
    common = 0.5 * torch.rand(60, generator=generator, dtype=torch.float64)
    own = torch.tensor(noise, dtype=torch.float64)[:, None] * torch.randn(3, 60, generator=generator, dtype=torch.float64)
    means = torch.tensor([found, none, single], dtype=torch.float64)[:, None]
    return Comparison.of(NAMES, means + common + own, torch.arange(60) % 6, HELD_OUT)


def test_what_is_better_than_all_is_called_better_than_the_nearest():
    said = verdict(compared(0.10, 0.20, 0.13))
    assert said.kind == "better" and said.instead is None
    assert said.text.startswith("Better than the best single strength 0.60 by ") and "6 pictures that the search has not seen" in said.text


def test_where_the_difference_may_be_none_the_simpler_choice_is_offered():
    said = verdict(compared(0.13, 0.20, 0.13))
    assert said.kind == "same" and said.instead.strengths == (0.6,)
    assert said.text.startswith("Not better than the best single strength 0.60 (") and said.text.endswith(": use that.")


def test_the_search_is_measured_by_what_comes_closest_to_it_and_not_by_what_hardly_can_be_measured():
    said = verdict(compared(0.10, 0.20, 0.13, noise=(0.01, 0.6, 0.01)))
    assert said.kind == "better" and said.text.startswith("Better than the best single strength 0.60 by ")


def test_where_no_lora_may_be_as_good_as_the_nearest_that_is_offered():
    said = verdict(compared(0.130, 0.131, 0.1305, noise=(0.01, 0.02, 0.01)))
    assert said.kind == "same" and said.instead.strengths == (0.0,) and said.text.startswith("Not better than no LoRA (")


def test_no_lora_is_not_offered_where_the_search_is_surely_better_than_that():
    said = verdict(compared(0.13, 0.16, 0.13, noise=(0.01, 0.01, 0.2)))
    assert said.kind == "same" and said.instead.strengths == (0.6,)


def test_what_is_worse_is_called_worse_than_the_best():
    said = verdict(compared(0.20, 0.15, 0.13))
    assert said.kind == "worse" and said.instead.strengths == (0.6,)
    assert said.text.startswith("Worse than the best single strength 0.60 by ")


def test_a_comparison_survives_json():
    comparison = compared(0.1, 0.2, 0.3)
    again = Comparison.from_fields(Fields(comparison.to_dict()))
    assert again.to_dict() == comparison.to_dict() and again.candidates == comparison.candidates


@pytest.mark.parametrize("field, value", [("seen", "twice"), ("losses", [1.0]), ("pictures", 0), ("candidates", [])])
def test_a_damaged_comparison_is_refused_by_its_field(field, value):
    with pytest.raises(ValueError, match=field):
        Comparison.from_fields(Fields({**compared(0.1, 0.2, 0.3).to_dict(), field: value}))


def test_differences_are_of_the_same_draws():
    losses = torch.tensor([[1.0, 5.0, 9.0], [2.0, 6.0, 10.0]], dtype=torch.float64)
    comparison = Comparison.of(NAMES[:2], losses, torch.zeros(3), GIVEN)
    assert comparison.difference.tolist() == [[0, -1], [1, 0]] and float(comparison.error[1, 0]) == 0

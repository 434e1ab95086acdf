"""The search as a whole: settings, histories, replays, what is searched and what is not."""

from __future__ import annotations

import math

import pytest
import torch

from appl_search import LoraSource, SearchResult, SearchSettings, TrainingSet, evaluate, search
from tests import oracle


def quick(**given) -> SearchSettings:
    """Without what takes more forwards than a short search."""
    return SearchSettings(**{"validation": 0, "comparison": 0, **given})


QUICK = quick(method="adamw", samples=6, batch_size=2)


def run(sources=None, settings=QUICK, **more):
    sources = sources or [LoraSource(oracle.LORA_A)]
    return search(oracle.sdxl(), None, None, sources, oracle.training_set(), settings, **more)


@pytest.mark.parametrize("method", ["adamw", "gauss-newton"])
def test_the_same_seed_gives_the_same_result_whatever_else_draws_random_numbers(method):
    settings = quick(method=method, samples=6, batch_size=2, seed=5)
    found = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        found.append(run(settings=settings).block_weights[0].values)
        drawn = torch.rand(1)
        torch.manual_seed(seed)
        assert drawn == torch.rand(1), "a search draws none of the others' numbers"
    assert found[0] == found[1]


def test_a_result_survives_json_whole():
    result = run(settings=quick(samples=8, batch_size=4, minimum=-1.0))
    again = SearchResult.from_json(result.to_json())
    assert again.to_json() == result.to_json()
    assert again.block_weights[0].stderr == pytest.approx(result.block_weights[0].stderr, nan_ok=True)
    torch.testing.assert_close(again.history.block_weights, result.history.block_weights)


def test_the_history_has_every_step_and_the_last_is_partial_when_samples_do_not_divide():
    result = run(settings=quick(method="adamw", samples=5, batch_size=2))
    assert result.samples == 5
    assert tuple(result.history.block_weights.shape) == (4, 1, 20)
    assert len(result.history.loss) == len(result.history.penalty) == 3
    assert result.history.penalty[0] == pytest.approx(0.5 * 11)


def test_fixed_tied_and_started_rates():
    source = LoraSource(oracle.LORA_A, fixed={"IN07": 0.25}, tie="sections", start={"OUT00": 0.9})
    result = run([source])
    weights = result.block_weights[0]
    assert weights["IN07"] == 0.25
    assert weights["IN04"] == weights["IN05"] == weights["IN08"] != 0.5
    assert len({weights[f"OUT0{i}"] for i in range(6)}) == 1
    assert result.history.block_weights[0, 0, 11] == pytest.approx((0.9 + 5 * 0.5) / 6)


def test_blocks_tied_by_name_are_searched_as_the_same_blocks_tied_by_a_word():
    sections = run([LoraSource(oracle.LORA_A, tie="sections")])
    blocks = sections.block_weights[0].layout.architecture.blocks
    lead = {"IN": "IN00", "OU": "OUT00"}
    by_name = run([LoraSource(oracle.LORA_A, tie={block: lead[block[:2]] for block in blocks if block[:2] in lead and block not in lead.values()})])
    assert by_name.block_weights[0].values == sections.block_weights[0].values


def test_bounds_hold_at_every_step():
    settings = quick(method="adamw", samples=16, batch_size=2, minimum=0.45, maximum=0.55)
    there = torch.tensor(run(settings=settings).block_weights[0].present)
    history = run(settings=settings).history.block_weights[:, 0, there]
    assert history.min() >= 0.45 and history.max() <= 0.5500001
    assert (history == 0.45).any() or (history == 0.55).any()


def test_a_large_penalty_switches_every_block_off_exactly():
    result = run(settings=quick(samples=12, batch_size=4, penalty=1.0))
    assert result.block_weights[0].values == (0.0,) * 20


def test_on_event_sees_each_step_and_can_finish_early():
    seen = []
    result = run(on_event=lambda event: seen.append(event) or event.step == 2)
    assert [event.step for event in seen] == [1, 2]
    assert result.samples == seen[-1].samples == 4
    assert seen[-1].total_samples == 6 and seen[-1].steps == 3


def test_images_of_several_sizes_are_searched_together():
    fixtures = oracle.numbers("fixtures")
    conditioning = [[fixtures["ctx"][None], {"pooled_output": fixtures["pool"][None]}]]
    wide = TrainingSet.from_latents({"samples": fixtures["latents_raw"][:2, :, :8]}, conditioning)
    both = oracle.training_set() + wide
    result = search(oracle.sdxl(), None, None, [LoraSource(oracle.LORA_A)], both, QUICK)
    assert all(math.isfinite(value) for value in result.block_weights[0].values)


def test_evaluate_compares_candidates_on_the_same_draws():
    losses = evaluate(
        oracle.sdxl(), None, None, [LoraSource(oracle.LORA_A)], oracle.training_set(),
        [[[0.0] * 20], [[1.0] * 20], [[0.0] * 20]], QUICK,
    )  # fmt: skip
    assert tuple(losses.shape) == (3, 6)
    assert torch.equal(losses[0], losses[2])
    assert not torch.equal(losses[0], losses[1])


@pytest.mark.parametrize(
    "field, value",
    [
        ("method", "sgd"), ("samples", 0), ("samples", 1.5), ("batch_size", 0), ("learning_rate", 0.0),
        ("learning_rate", float("nan")), ("lr_schedule", "linear"), ("weight_decay", -1), ("init", float("inf")),
        ("penalty", -1e-4), ("negative_penalty", -1), ("minimum", "low"), ("maximum", float("nan")), ("seed", -1),
        ("min_snr_gamma", 0),
    ],
)  # fmt: skip
def test_bad_settings_name_the_field_and_the_value(field, value):
    with pytest.raises(ValueError, match=f"{field} is {value!r}, expected"):
        quick(**{field: value})


def test_bounds_the_wrong_way_round():
    with pytest.raises(ValueError, match="minimum is 2, expected a number of at most maximum"):
        quick(minimum=2, maximum=1)

"""Choices compared by the node: their losses are those of a search's evaluation, whatever form they came in."""

from __future__ import annotations

import pytest
import torch

from appl_search import BlockWeights, LoraSource, SearchSettings
from appl_search.gradients.draws import COMPARISON, Draws
from appl_search.gradients.evaluator import opened
from tests import oracle
from tests.nodes.results import result_for

RATES = {"IN04": 0.25, "IN07": 0.0, "MID": -0.5, "OUT02": 1.5}


def chain(node, *choices):
    made = ()
    for choice in choices:
        given = {"name": "", "lora_name": "a.safetensors", "text": "", **choice}
        (made,) = node("ApplSearchChoice").make(**given, choices=made)
    return made


def evaluated(node, model, choices, samples=8, **more):
    out = node("ApplSearchEvaluate").evaluate(
        model, None, oracle.training_set(), choices, samples, 3, "dark", 400, 300, settings=SearchSettings(batch_size=4), **more
    )
    return out["result"]


def losses(table: str) -> dict[str, float]:
    """By name, from the first lines of the table."""
    rows = table.split("\n\n")[1].splitlines()
    return {row.split("  ")[0].strip(): float(next(part for part in row.split("  ")[1:] if part).split()[0]) for row in rows}


def test_losses_are_those_of_the_same_rates_in_whatever_form_they_come(node, folders, model):
    result = result_for((folders / "loras" / "a.safetensors", RATES))
    choices = chain(
        node,
        {"name": "result", "block_weights": result},
        {"name": "string", "text": result.block_weights[0].to_string("inspire")},
        {"name": "strength", "text": "0.7"},
        {"name": "stack", "lora_stack": [("a.safetensors", 0.7, 0.7)]},
    )
    found = losses(evaluated(node, model, choices)[0])
    source = LoraSource(oracle.LORA_A)
    rates = [BlockWeights.for_lora(source, RATES).values, [0.7] * 20, [0.0] * 20]
    settings = SearchSettings(batch_size=4)
    with opened(oracle.task(model, [source], settings)) as evaluator:
        draws = list(Draws(evaluator.shapes, 8, 4, 3, COMPARISON))
        expected = [float(torch.cat([evaluator.losses(draw, torch.tensor([each])) for draw in draws]).mean()) for each in rates]
    assert [found["result"], found["strength"], found["no LoRA"]] == pytest.approx(expected, abs=6e-6)  # as the table rounds
    assert found["result"] == found["string"] and found["strength"] == found["stack"]


def test_a_choice_may_have_several_loras_and_others_are_off_where_it_has_not(node, folders, model):
    stack = [("a.safetensors", 0.5, 0.5), ("sub/b.safetensors", 0.5, 0.5)]
    choices = chain(node, {"name": "both", "lora_stack": stack}, {"name": "one", "text": "0.5"}, {"name": "zeros", "text": "0"})
    found = losses(evaluated(node, model, choices)[0])
    assert found["both"] != found["one"] and found["zeros"] == found["no LoRA"]


def test_what_of_the_model_counts_otherwise_than_in_a_sampler_is_told(node, folders):
    wrappers = pytest.importorskip("comfy.patcher_extension", reason="This host has no wrappers.").WrappersMP
    wrapped = oracle.sdxl().clone()
    wrapped.add_wrapper_with_key(wrappers.OUTER_SAMPLE, "my pack", lambda executor, *args, **kwargs: executor(*args, **kwargs))
    out = node("ApplSearchEvaluate").evaluate(wrapped, None, oracle.training_set(), chain(node, {"text": "0.3"}), 4, 3, "dark", 400, 300)
    assert ["the wrapper outer_sample" in note for note in out["ui"]["warnings"]] == [True]


def test_the_table_and_the_figure_show_every_choice(node, folders, model):
    table, image = evaluated(node, model, chain(node, {"text": "0.3"}, {"text": "0.9"}))
    assert table.startswith("Lowest loss: ") and "a 0.3" in table and "a 0.9" in table
    assert tuple(image.shape) == (1, 300, 400, 3)


@pytest.mark.parametrize("given", [{}, {"text": "0.5", "lora_stack": [("a.safetensors", 1, 1)]}])
def test_a_choice_is_exactly_one_thing(node, folders, given):
    with pytest.raises(ValueError, match="fill in or connect exactly one"):
        chain(node, given)


def test_a_text_that_is_no_string_of_block_weights_is_refused(node, folders):
    with pytest.raises(ValueError):
        chain(node, {"text": "1,2,3 o'clock"})


def test_too_few_samples_are_refused(node, folders, model):
    with pytest.raises(ValueError, match="2 samples are too few"):
        evaluated(node, model, chain(node, {"text": "0.5"}), samples=2)


def test_the_model_is_left_as_it_was(node, folders, model):
    before = {key: value.clone() for key, value in model.model.state_dict().items()}
    evaluated(node, model, chain(node, {"text": "0.5"}))
    assert not model.patches and all(torch.equal(value, before[key]) for key, value in model.model.state_dict().items())

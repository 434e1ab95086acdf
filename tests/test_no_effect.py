"""LoRAs, or blocks of them, that change nothing: their rates stay at the start and are said to have no effect."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file, save_file

from appl_search import LoraSource, SearchResult, SearchSettings, search
from appl_search.report.figures import draw, figures_of
from tests import oracle

SETTINGS = SearchSettings(samples=16, batch_size=2, penalty=1e-3, validation=0)


def lora_without(tmp_path, *parts: str) -> LoraSource:
    """The oracle's LoRA with zeros in the keys that name one of the parts."""
    tensors = load_file(oracle.LORA_A)
    zeroed = {key: torch.zeros_like(value) if any(part in key for part in parts) else value for key, value in tensors.items()}
    save_file(zeroed, tmp_path / "zeros.safetensors")
    return LoraSource(tmp_path / "zeros.safetensors")


def found(source: LoraSource, method: str, model=None, **changes) -> SearchResult:
    settings = replace(SETTINGS, method=method, **changes)
    result = search(model or oracle.sdxl(), None, None, [source], oracle.training_set(), settings)
    assert SearchResult.from_json(result.to_json()).to_json() == result.to_json()
    return result


@pytest.mark.parametrize("method", ["gauss-newton", "adamw"])
@pytest.mark.parametrize("penalty", [0.0, 0.1])
def test_rates_of_a_lora_of_zeros_stay_at_their_start(method, penalty, tmp_path):
    result = found(lora_without(tmp_path, "lora_up"), method, penalty=penalty)
    (weights,) = result.block_weights
    assert [value for value, there in zip(weights.values, weights.present) if there] == [0.5] * sum(weights.present)
    assert all(math.isnan(error) for error in weights.stderr)
    assert result.notes == (
        "zeros: all searched blocks have no effect on what the model predicts for these images: not searched, left at the start.",
    )
    if result.penalty_path is not None:
        assert all(point.block_weights[0].values == weights.values for point in result.path())
        assert [draw(result, figure, "light", 6, 3) for figure in figures_of(result)]
        assert result.at_penalty(0.5).block_weights[0].values == weights.values


@pytest.mark.parametrize("method", ["gauss-newton", "adamw"])
def test_one_block_without_effect_does_not_touch_the_others(method, tmp_path):
    with_one = found(lora_without(tmp_path, "output_blocks_0_", "up_blocks_0_attentions_0"), method)
    source = LoraSource(oracle.LORA_A, fixed={"OUT00": 0.0})
    without = found(source, method)
    (weights,), (expected,) = with_one.block_weights, without.block_weights
    assert weights["OUT00"] == 0.5
    assert with_one.notes[0].startswith("zeros: OUT00 has no effect")
    assert without.notes == ()
    others = [block for block in weights.blocks if block != "OUT00"]
    assert [weights[block] for block in others] == pytest.approx([expected[block] for block in others], abs=1e-3)


def test_a_model_whose_output_does_not_depend_on_the_lora(tmp_path):
    model = oracle.sdxl()
    out = model.model.diffusion_model.out[2]
    out.weight.data.zero_()
    result = found(LoraSource(oracle.LORA_A), "gauss-newton", model)
    assert "no effect" in result.notes[0]
    assert set(result.block_weights[0].values) == {0.0, 0.5}

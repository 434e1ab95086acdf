"""Every adapter that ComfyUI loads: predictions as with ComfyUI's own patched weights, gradients as differences."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import save_file

from appl_search import LoraSource, SearchSettings
from appl_search.evaluator import opened
from appl_search.lora import read_layout
from appl_search.objective import draws
from appl_search.rates import Rates
from tests import adapters, oracle
from tests.nodes.patched import patched_weights, stock

SETTINGS = SearchSettings(samples=2, batch_size=2)


@pytest.fixture(scope="module")
def model():
    return oracle.sdxl()


@pytest.mark.parametrize("kind, layer", adapters.CASES)
def test_prediction_and_gradient_of(kind, layer, model, tmp_path):
    save_file(adapters.tensors(kind, layer), tmp_path / "one.safetensors")
    source = LoraSource(tmp_path / "one.safetensors")
    rates_map = Rates([source], [read_layout(source)], SETTINGS)
    slot = int(rates_map.searched[0])
    rates = torch.zeros(20, dtype=torch.float64)
    rates[slot], step = 0.6, 0.01
    with opened(model, None, None, [source], rates_map, oracle.training_set(), SETTINGS) as evaluator:
        draw = next(draws(evaluator.shapes, evaluator.timesteps, 2, 2, seed=0))
        batch = evaluator.gradients(draw, rates, probes=False)
        change = torch.zeros(20, dtype=torch.float64)
        change[slot] = step
        above, below = (evaluator.losses(draw, rates + sign * change) for sign in (1, -1))
    torch.testing.assert_close(batch.gradients[:, 0], (above - below) / (2 * step), rtol=2e-2, atol=2e-4)

    plain = {key: weight.clone() for key, weight in model.model.state_dict().items()}
    model.model.load_state_dict(patched_weights(stock(model, source.path, 0.6)), strict=False)
    try:
        with opened(model, None, None, [source], rates_map, oracle.training_set(), SETTINGS) as evaluator:
            expected = evaluator.losses(draw, torch.zeros(20, dtype=torch.float64))
    finally:
        model.model.load_state_dict(plain)
    torch.testing.assert_close(batch.losses, expected, rtol=1e-4, atol=1e-6)

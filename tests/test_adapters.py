"""Every adapter that ComfyUI loads: predictions as with ComfyUI's own patched weights, gradients as differences."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import save_file

from appl_search import LoraSource, SearchSettings
from appl_search.gradients.draws import Draws
from appl_search.gradients.evaluator import opened
from appl_search.loras.layout import read_layout
from tests import adapters, oracle
from tests.nodes.patched import patched_weights, stock

SETTINGS = SearchSettings(samples=2, batch_size=2)
#: Rounding of a dtype in a loss: relative, and of the gradient as a part of its norm (or of 1e-3, if that is more).
LOSS_ERROR = {torch.float32: 1e-5, torch.float16: 3e-4, torch.bfloat16: 3e-3}
GRADIENT_ERROR = {torch.float16: 0.05, torch.bfloat16: 0.3}


@pytest.fixture(scope="module")
def model():
    return oracle.sdxl()


def lora_file(folder, kind, layer, seed=0) -> LoraSource:
    save_file(adapters.tensors(kind, layer, seed), folder / "one.safetensors")
    return LoraSource(folder / "one.safetensors")


def searched(model, sources, rates, work):
    """``work(evaluator, draw)`` with LoRAs on the model."""
    with opened(oracle.task(model, sources, SETTINGS)) as evaluator:
        return evaluator.rates, work(evaluator, Draws(evaluator.shapes, 2, 2, seed=0).current())


def gradients(model, sources, rates):
    return searched(model, sources, rates, lambda evaluator, draw: evaluator.gradients(draw, rates))[1]


def losses(model, sources, rates):
    return searched(model, sources, rates, lambda evaluator, draw: evaluator.losses(draw, rates))[1]


def rates_at(source: LoraSource, value: float) -> torch.Tensor:
    """``value`` in every block that the LoRA has."""
    return torch.tensor(read_layout(source).present, dtype=torch.float64) * value


def losses_of_the_stock_loader(model, strengths) -> torch.Tensor:
    """With the weights that ComfyUI itself patches: [(LoRA, strength) ...], one after the other."""
    patched = model
    for source, strength in strengths:
        patched = stock(patched, source.path, strength)
    plain = {key: weight.clone() for key, weight in model.model.state_dict().items()}
    model.model.load_state_dict(patched_weights(patched), strict=False)
    sources = [source for source, _ in strengths]
    try:
        return losses(model, sources, torch.zeros(20 * len(sources), dtype=torch.float64))
    finally:
        model.model.load_state_dict(plain)


@pytest.mark.parametrize("kind, layer", adapters.CASES)
def test_losses_are_those_of_the_stock_loader_and_gradients_are_differences(kind, layer, model, tmp_path):
    source = lora_file(tmp_path, kind, layer)
    rates, step = rates_at(source, 0.6), 0.01
    found = gradients(model, [source], rates)
    expected = losses_of_the_stock_loader(model, [(source, 0.6)])
    torch.testing.assert_close(found.losses, expected, rtol=LOSS_ERROR[torch.float32], atol=0)
    above, below = (losses(model, [source], rates_at(source, 0.6 + sign * step)) for sign in (1, -1))
    torch.testing.assert_close(found.gradients.sum(1), (above - below) / (2 * step), rtol=1e-2, atol=1e-4)


@pytest.mark.parametrize("kind, layer", adapters.CASES)
@pytest.mark.parametrize("dtype", GRADIENT_ERROR, ids=["fp16", "bf16"])
def test_in_half_precision(dtype, kind, layer, model, tmp_path):
    source = lora_file(tmp_path, kind, layer)
    rates, half = rates_at(source, 0.6), oracle.sdxl(dtype)
    found, exact = gradients(half, [source], rates).gradients, gradients(model, [source], rates).gradients
    assert (found - exact).norm() < GRADIENT_ERROR[dtype] * max(exact.norm(), 1e-3)
    expected = losses_of_the_stock_loader(half, [(source, 0.6)])
    torch.testing.assert_close(losses(half, [source], rates), expected, rtol=LOSS_ERROR[dtype], atol=0)


@pytest.mark.parametrize("kinds", [("lora", "dora"), ("diff", "glora"), ("loha", "lora"), ("dora", "dora")], ids="-".join)
@pytest.mark.parametrize("layer", [adapters.LINEAR])
def test_one_adapter_after_another_on_the_same_layer(layer, kinds, model, tmp_path):
    sources = []
    for number, kind in enumerate(kinds):
        folder = tmp_path / str(number)
        folder.mkdir()
        sources.append(lora_file(folder, kind, layer, seed=number))
    rates = torch.cat([rates_at(sources[0], 0.6), rates_at(sources[1], 0.8)])
    found = gradients(model, sources, rates)
    expected = losses_of_the_stock_loader(model, [(sources[0], 0.6), (sources[1], 0.8)])
    torch.testing.assert_close(found.losses, expected, rtol=LOSS_ERROR[torch.float32], atol=0)
    for number, source in enumerate(sources):
        step = torch.zeros(2, 20, dtype=torch.float64)
        step[number] = rates_at(source, 0.01)
        above, below = (losses(model, sources, rates + sign * step.flatten()) for sign in (1, -1))
        by_lora = found.gradients.view(2, 2, -1)[:, number].sum(1)
        torch.testing.assert_close(by_lora, (above - below) / 0.02, rtol=1e-2, atol=1e-4)


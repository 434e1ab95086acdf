"""The numbers of the published program: predictions, losses, gradients and 20 steps of rates."""

from __future__ import annotations

import comfy.model_base
import pytest
import torch
from comfy.conds import CONDCrossAttn, CONDRegular

from appl_search import LoraSource, SearchSettings, search
from appl_search.gradients.batch import Gradients
from appl_search.gradients.draws import RecordedDraws
from appl_search.gradients.evaluator import opened
from appl_search.gradients.rates import Rates
from appl_search.loras.layout import read_layout
from appl_search.searching.methods import adamw
from tests import oracle

A, B = LoraSource(oracle.LORA_A), LoraSource(oracle.LORA_B)
SETTINGS = SearchSettings(
    method="adamw", samples=40, batch_size=2, learning_rate=0.1, lr_schedule="constant", weight_decay=0.01,
    init=0.5, penalty=1e-4, negative_penalty=10, validation=0, comparison=0,
)  # fmt: skip


def rates_of(sources, settings=SETTINGS):
    return Rates(sources, [read_layout(source) for source in sources], settings)


def opened_with(model, sources, settings=SETTINGS):
    return opened(oracle.task(model, sources, settings))


def replay(model, sources):
    return search(model, None, None, sources, oracle.training_set(), SETTINGS, draws=oracle.recorded_draws())


@pytest.mark.parametrize("model_type, run", [("EPS", "a__base"), ("V_PREDICTION", "a__v_param")])
def test_twenty_steps_end_where_the_published_program_does(model_type, run):
    model = oracle.sdxl(model_type=comfy.model_base.ModelType[model_type])
    result, expected = replay(model, [A]), oracle.numbers(f"runs/{run}")
    there = torch.tensor(result.block_weights[0].present)
    found = result.history.block_weights[:, 0]
    torch.testing.assert_close(found[:, there], expected["weights"][:, there], rtol=0, atol=1e-4)
    assert (found[:, ~there] == 0).all()
    torch.testing.assert_close(result.history.loss, expected["loss_denoise"], rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    "sources, run, steps",
    [([A, B], "ab__base", range(20)), ([A], "a__min_snr_5", (0, 7, 19))],
)
def test_losses_and_gradients_at_the_recorded_rates(sources, run, steps):
    # With two LoRAs, 20 free steps amplify one ulp in the noise to 3e-3 in the rates: compare step by step.
    expected = oracle.numbers(f"runs/{run}")
    settings = SearchSettings(method="adamw", min_snr_gamma=5.0 if "snr" in run else None)
    there = torch.tensor([read_layout(source).present for source in sources]).flatten()
    draws = list(RecordedDraws(oracle.recorded_draws(), 1000))
    with opened_with(oracle.sdxl(), sources, settings) as evaluator:
        for step in steps:
            rates = expected["weights"][step].double() * there
            batch = evaluator.gradients(draws[step], rates)
            penalty = 1e-4 * (torch.sign(rates) - 10 * (rates < 0))[there]
            torch.testing.assert_close(
                batch.gradients.mean(0) + penalty, expected["grad"][step][there].double(), rtol=1e-3, atol=1e-4
            )
            torch.testing.assert_close(
                batch.losses, expected["loss_weighted_per_sample"][step].double(), rtol=0, atol=1e-4
            )


def test_two_loras_follow_the_published_program_for_as_long_as_rounding_allows():
    result, expected = replay(oracle.sdxl(), [A, B]), oracle.numbers("runs/ab__base")
    there = torch.tensor([weights.present for weights in result.block_weights]).flatten()
    error = (result.history.block_weights.flatten(1) - expected["weights"])[:, there].abs().amax(1)
    assert error[:9].max() < 1e-4
    assert error.max() < 1e-2


def test_adamw_makes_the_published_steps_of_the_published_gradients():
    expected = oracle.numbers("runs/ab__base")
    rates = rates_of([A, B])
    method = adamw.AdamW(rates, SETTINGS)
    for step in range(20):
        weights = expected["weights"][step].double()
        penalty = 1e-4 * (torch.sign(weights) - 10 * (weights < 0))
        gradient = rates.of_parameters((expected["grad"][step].double() - penalty)[None])
        method.step(Gradients(torch.zeros(1), gradient, None))
        found = rates.all_rates(method.parameters).flatten()[rates.searched]
        torch.testing.assert_close(found.float(), expected["weights"][step + 1][rates.searched], rtol=0, atol=2e-5)


@pytest.mark.parametrize("name, sources", [("a", [A]), ("b", [B]), ("ab", [A, B])])
def test_predictions_at_random_rates(name, sources):
    forward = oracle.numbers("forward")
    rates = forward["w_random"][: len(sources)].flatten()
    assert_predicts(sources, [(rates, forward[f"eps_{name}_random"])])


@pytest.mark.parametrize("name, source", [("a", A), ("b", B)])
def test_predictions_with_one_block_at_a_time(name, source):
    assert_predicts([source], zip(torch.eye(20), oracle.numbers("forward")[f"eps_{name}_block_k_only"]))


def assert_predicts(sources, cases):
    forward = oracle.numbers("forward")
    with opened_with(oracle.sdxl(), sources) as evaluator, torch.no_grad():
        denoiser = evaluator.denoiser
        sigma = denoiser.schedule.sigmas[forward["t"]]
        noisy = forward["x"] * (1 + sigma**2).sqrt()[:, None, None, None]
        vectors = {"c_crossattn": CONDCrossAttn(forward["ctx"]), "y": CONDRegular(forward["y"])}
        for rates, expected in cases:
            evaluator.unet.strengths = rates[None]
            found = denoiser(noisy, sigma, [vectors])
            assert (found - expected).abs().max() < 2e-5 * expected.abs().max()

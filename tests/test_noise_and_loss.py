"""Noise, weights and kinds of loss are the published program's, number for number; and the methods see their true slopes."""

from __future__ import annotations

import pytest
import torch

from appl_search import LoraSource, SearchSettings, search
from appl_search.gradients.draws import Draws
from appl_search.gradients.evaluator import opened
from appl_search.gradients.losses import KINDS, DenoisingLoss, huber_thresholds, sample_weights
from appl_search.gradients.noise import shaped
from tests import oracle

NUMBERS = oracle.numbers("options")
#: d denoised / d prediction, squared, at a signal-to-noise ratio.
SCALES = {"eps": lambda snr: snr**-0.5, "v": lambda snr: (snr + 1) ** -0.5}
HUBER = {"huber_c": 0.1, "huber_scale": 1.3}
LOSSES = [name.removeprefix("loss.") for name in NUMBERS if name.startswith("loss.")]


def drawn(name: str):
    """(normal, uniform) that give what the program drew, in its order."""
    recorded = iter([NUMBERS[f"{name}.drawn.{i}"] for i in range(20) if f"{name}.drawn.{i}" in NUMBERS])

    def normal(shape):
        found = next(recorded)
        assert tuple(found.shape) == tuple(shape)
        return found

    return normal, lambda: float(next(recorded))


@pytest.mark.parametrize(
    "name, settings",
    [
        ("noise_offset", {"noise_offset": 0.0357}),
        ("adaptive", {"noise_offset": 0.1, "adaptive_noise_scale": -0.3}),
        ("multires_6", {"multires_noise_iterations": 6}),
        ("multires_10", {"multires_noise_iterations": 10, "multires_noise_discount": 0.8}),
    ],
)
def test_noise_is_the_published_programs(name, settings):
    found, added = shaped(NUMBERS["noise"], NUMBERS["latent"], SearchSettings(**settings), *drawn(name))
    torch.testing.assert_close(found, NUMBERS[name], rtol=1e-5, atol=1e-6)
    assert added is found


def test_a_random_part_of_the_offset_and_of_the_perturbation_is_drawn():
    latent, zero = torch.zeros(4, 3, 3), torch.zeros(4, 3, 3)
    settings = SearchSettings(noise_offset=0.5, noise_offset_random_strength=True, ip_noise_gamma=0.2, ip_noise_gamma_random_strength=True)
    found, added = shaped(zero, latent, settings, lambda shape: torch.ones(shape), lambda: 0.25)
    assert found.unique().tolist() == [0.125]
    torch.testing.assert_close(added - found, torch.full((4, 3, 3), 0.05))


@pytest.mark.parametrize(
    "name, settings",
    [
        ("min_snr", {"min_snr_gamma": 5.0}),
        ("debiased", {"debiased_estimation_loss": True}),
        ("scale_v_like_noise", {"scale_v_pred_loss_like_noise_pred": True}),
        ("v_pred_like_loss", {"v_pred_like_loss": 0.7}),
    ],
)
@pytest.mark.parametrize("prediction", SCALES)
def test_weights_of_timesteps_are_the_published_programs(name, settings, prediction):
    if f"{name}.{prediction}" not in NUMBERS:
        pytest.skip("This weight is not for such models.")
    snr = NUMBERS["snr"]
    found = sample_weights(snr, SCALES[prediction](snr), prediction, SearchSettings(**settings))
    torch.testing.assert_close(found, NUMBERS[f"{name}.{prediction}"], rtol=1e-5, atol=0)


@pytest.mark.parametrize("name", LOSSES)
def test_losses_and_their_gradients_are_the_published_programs(name):
    kind, schedule = name.split(".")
    threshold = huber_thresholds(NUMBERS["timesteps"], NUMBERS["snr"], SearchSettings(huber_schedule=schedule, **HUBER))
    loss = DenoisingLoss(NUMBERS["target"], torch.ones(8, 1, 1, 1), kind, threshold)
    torch.testing.assert_close(loss.values(NUMBERS["prediction"]), NUMBERS[f"loss.{name}"])
    torch.testing.assert_close(loss.start(NUMBERS["prediction"]) / loss.elements, NUMBERS[f"gradient.{name}"])


@pytest.mark.parametrize("kind", ["l2", "huber", "smooth_l1"])
def test_the_curvature_is_the_slopes_derivative(kind):
    r, c, step = torch.linspace(-2, 2, 41, dtype=torch.float64).view(1, 1, 1, -1), torch.tensor(0.3, dtype=torch.float64), 1e-5
    difference = (KINDS[kind].slope(r + step, c) - KINDS[kind].slope(r - step, c)) / (2 * step)
    torch.testing.assert_close(KINDS[kind].curvature(r, c), difference, rtol=1e-5, atol=1e-7)


def test_the_curvature_of_the_absolute_value_is_near_that_of_its_mean_over_normal_errors():
    r = torch.randn(4, 4, 64, 64, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = KINDS["l1"].curvature(r, torch.ones(1)).mean()
    true = (2 / torch.pi) ** 0.5  # of E|e + w| at w = 0 for e ~ N(0, 1): twice the density at 0
    assert 0.9 * true < found < 1.6 * true


ALL_AT_ONCE = SearchSettings(
    samples=3, batch_size=3, noise_offset=0.1, multires_noise_iterations=3, ip_noise_gamma=0.1, ip_noise_gamma_random_strength=True,
    loss_type="huber", min_snr_gamma=5.0, v_pred_like_loss=0.2, debiased_estimation_loss=True, min_timestep=200, max_timestep=900,
)  # fmt: skip


def test_gradients_are_those_of_the_losses_with_all_options_at_once():
    with opened(oracle.task(oracle.sdxl(), [LoraSource(oracle.LORA_A)], ALL_AT_ONCE)) as evaluator:
        draw = Draws(evaluator.shapes, 3, 3, seed=1, levels=ALL_AT_ONCE.levels).current()
        assert 0.2 <= draw.levels.min() and draw.levels.max() < 0.9
        rates, step = torch.full((1, 20), 0.5, dtype=torch.float64), torch.zeros(1, 20, dtype=torch.float64)
        step[0, 8] = 0.01
        above, below = (evaluator.losses(draw, rates + sign * step) for sign in (1, -1))
        gradient = evaluator.gradients(draw, rates).gradients @ (step.flatten()[evaluator.rates.searched] / 0.01)
        torch.testing.assert_close(gradient, (above - below) / 0.02, rtol=0.02, atol=2e-5)


def test_a_search_with_all_options_is_the_same_again_and_its_settings_are_saved():
    settings = SearchSettings(**{**ALL_AT_ONCE.to_dict(), "samples": 4, "batch_size": 2})
    one, two = (search(oracle.sdxl(), None, None, [LoraSource(oracle.LORA_A)], oracle.training_set(), settings) for _ in range(2))
    assert one.block_weights[0].values == two.block_weights[0].values
    assert type(one).from_json(one.to_json()).settings == settings


def test_a_weight_that_is_not_for_the_model_is_refused_by_name():
    settings = SearchSettings(samples=2, scale_v_pred_loss_like_noise_pred=True)
    with pytest.raises(ValueError, match="scale_v_pred_loss_like_noise_pred is True, but the MODEL predicts eps"):
        search(oracle.sdxl(), None, None, [LoraSource(oracle.LORA_A)], oracle.training_set(), settings)
    with pytest.raises(ValueError, match="min_timestep is 500, expected less than max_timestep"):
        SearchSettings(min_timestep=500, max_timestep=500)

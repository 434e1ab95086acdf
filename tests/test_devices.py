"""A search does nothing on the MODEL's device that devices without fp64 refuse, and computes with no tensor that is elsewhere."""

from __future__ import annotations

from dataclasses import replace

import comfy.model_management
import pytest
import torch
from safetensors.torch import save_file

from appl_search import LoraSource, SearchSettings, TrainingSet, search
from appl_search.demo import load_images, load_tiny_sdxl, lora_paths
from appl_search.gradients import evaluator
from tests import adapters, oracle
from tests.stand_in_device import DEVICE, StandInDevice, put_on_device

SETTINGS = SearchSettings(samples=4, batch_size=2, validation=2, comparison=0)
ONE_SAMPLE = SearchSettings(method="adamw", samples=1, validation=0, comparison=0, check_gradient=False)
SOURCES = [LoraSource(oracle.LORA_A), LoraSource(oracle.LORA_B)]


@pytest.fixture(scope="module", autouse=True)
def nothing_stays_on_the_device():
    """The host would move what it still takes for loaded, and there is no such device any more."""
    yield
    loaded = comfy.model_management.current_loaded_models
    loaded[:] = [each for each in loaded if each.model is not None and each.model.offload_device != DEVICE]


@pytest.fixture(scope="module")
def model():
    made = oracle.sdxl()
    put_on_device(made, made.model)
    return made


def on_the_device(model, sources=SOURCES, settings=SETTINGS):
    with StandInDevice() as device:
        found = search(model, None, None, sources, oracle.training_set(), settings)
    assert device.seen > 1000
    return found


def assert_same(found, expected):
    for one, other in zip(found.block_weights, expected.block_weights):
        assert one.values == pytest.approx(other.values, abs=1e-6)


@pytest.mark.parametrize("method, comparison", [("gauss-newton", 2), ("adamw", 0)])
def test_a_search_on_a_device_without_fp64(method, comparison, model):
    settings = replace(SETTINGS, method=method, comparison=comparison, loss_type="huber", min_snr_gamma=5.0, noise_offset=0.05, ip_noise_gamma=0.1)
    expected = search(oracle.sdxl(), None, None, SOURCES, oracle.training_set(), settings)
    assert_same(on_the_device(model, SOURCES, settings), expected)


@pytest.mark.parametrize("kind, layer", adapters.CASES)
def test_every_adapter_on_a_device_without_fp64(kind, layer, model, tmp_path):
    save_file(adapters.tensors(kind, layer), tmp_path / "one.safetensors")
    on_the_device(model, [LoraSource(tmp_path / "one.safetensors")], ONE_SAMPLE)


def test_text_encoders_and_pictures_on_a_device_without_fp64():
    model, clip, vae = load_tiny_sdxl()
    pictures, captions = load_images("train")
    images, sources = TrainingSet.from_images(pictures[:2], captions[:2], torch.ones(2, 64, 64)), [LoraSource(lora_paths()["character"])]
    expected = search(model, clip, vae, sources, images, SETTINGS)
    put_on_device(model, model.model)
    put_on_device(clip.patcher, clip.cond_stage_model)
    put_on_device(vae.patcher, vae.first_stage_model)
    vae.device = DEVICE
    with StandInDevice():
        assert_same(search(model, clip, vae, sources, images, SETTINGS), expected)


def test_the_stand_in_sees_fp64_and_tensors_that_are_elsewhere(model, monkeypatch):
    plain = evaluator._pulled_back

    def doubled(prediction, strengths, start, keep=False):
        return plain(prediction, strengths, start.double().float(), keep)

    monkeypatch.setattr(evaluator, "_pulled_back", doubled)
    with pytest.raises(TypeError, match="Cannot convert a MPS Tensor to float64"):
        on_the_device(model)
    monkeypatch.setattr(evaluator, "_pulled_back", lambda prediction, strengths, start, keep=False: prediction + torch.ones(4))
    with pytest.raises(RuntimeError, match="Expected all tensors to be on the same device"):
        on_the_device(model)

"""Preview pictures: those of ComfyUI's own KSampler with the rates of their moment, and nothing else changes by them."""

from __future__ import annotations

from dataclasses import replace

import comfy.latent_formats
import comfy.model_management
import comfy.sample
import comfy.samplers
import pytest
import torch

from appl_search import BlockWeights, LoraSource, PreviewSettings, SearchSettings, TrainingSet, search
from appl_search.demo import load_images, load_tiny_sdxl, lora_paths
from appl_search.gradients.evaluator import Evaluator
from appl_search.host import device, pictures
from appl_search.host.lora_loading import load
from appl_search.host.lora_patches import apply
from appl_search.loras.layout import read_layout
from tests import oracle

QUICK = SearchSettings(method="adamw", samples=8, batch_size=2, learning_rate=0.3, lr_schedule="constant", validation=0, comparison=0)
WANTED = PreviewSettings("a zibby", "blurred", every=4, width=128, height=64, steps=3, cfg=3.0, seed=7)


@pytest.fixture(scope="module")
def demo():
    return load_tiny_sdxl()


def run(demo, lora="character", wanted=WANTED, settings=QUICK, **more):
    """(result, previews) of a short search."""
    images, captions = load_images("styled_train")
    seen = []
    training_set = TrainingSet.from_images(images[:2], captions[:2])
    source = LoraSource(lora_paths()[lora])
    result = search(*demo, [source], training_set, settings, previews=wanted, on_preview=seen.append, **more)
    return result, seen


def ksampler(demo, lora, rates, wanted) -> torch.Tensor:
    """The latent of ComfyUI's own nodes: CLIPTextEncode and KSampler, the LoRA's rates in the model's patches."""
    model, clip, _ = demo
    source = LoraSource(lora_paths()[lora])
    model, clip = apply(model, clip, load(source, model, clip), BlockWeights(read_layout(source), tuple(rates)))
    conds = []
    for prompt in (wanted.prompt, wanted.negative):
        context, pooled = clip.encode_from_tokens(clip.tokenize(prompt), return_pooled=True)
        conds.append([[context, {"pooled_output": pooled}]])
    empty = torch.zeros(1, 4, wanted.height // 8, wanted.width // 8)
    noise = comfy.sample.prepare_noise(empty, wanted.seed)
    with torch.no_grad():
        latent = comfy.sample.sample(
            model, noise, wanted.steps, wanted.cfg, wanted.sampler, wanted.scheduler, *conds, empty, disable_pbar=True, seed=wanted.seed
        )
    comfy.model_management.unload_all_models()
    return latent[0]


@pytest.mark.parametrize(("lora", "sampler"), [("character", "euler"), ("character", "dpmpp_2m_sde"), ("style", "dpm_2")])
def test_the_first_and_the_last_are_ksamplers_pictures_at_their_rates(demo, lora, sampler):
    wanted = replace(WANTED, sampler=sampler, scheduler="karras")
    result, (first, *_, last) = run(demo, lora, wanted)
    start, end = [[0.5] * 20, result.block_weights[0].values]
    found = ksampler(demo, lora, end, wanted)
    assert tuple(last.latent.shape) == (4, 8, 16)
    # ComfyUI rounds the text encoders' patched weights to half precision.
    change = (ksampler(demo, lora, start, wanted) - found).norm()
    for preview, rates in ((first, start), (last, end)):
        assert (preview.latent - ksampler(demo, lora, rates, wanted)).norm() < 0.005 * change


def test_they_come_at_the_start_now_and_then_and_at_the_end(demo):
    _, seen = run(demo)
    assert [(preview.samples, preview.is_last) for preview in seen] == [(0, False), (4, False), (8, True)]


def test_they_change_neither_the_search_nor_the_random_numbers_of_others(demo):
    torch.manual_seed(3)
    without, _ = run(demo, wanted=None)
    state = torch.get_rng_state()
    torch.manual_seed(3)
    with_previews, _ = run(demo, wanted=replace(WANTED, sampler="euler_ancestral"))
    assert torch.equal(torch.get_rng_state(), state)
    assert with_previews.block_weights[0].values == without.block_weights[0].values
    assert torch.equal(with_previews.history.loss, without.history.loss)


@pytest.mark.parametrize("lora", ["character", "style"])
def test_no_model_is_loaded_once_the_search_has_begun(demo, lora, monkeypatch):
    """Loading one could move another whose weights autograd works with."""
    loaded = []
    load = comfy.model_management.load_models_gpu
    monkeypatch.setattr(comfy.model_management, "load_models_gpu", lambda *args, **more: (loaded.append(args), load(*args, **more)))
    before = []
    sample = Evaluator.sample
    monkeypatch.setattr(Evaluator, "sample", lambda *args: (before.append(len(loaded)), sample(*args))[1])
    run(demo, lora)
    assert before[0] > 0 and len(loaded) == before[0]


def test_cancel_ends_a_picture_at_its_next_step(demo, monkeypatch):
    steps = []

    def pressed():
        steps.append(None)
        raise comfy.model_management.InterruptProcessingException

    monkeypatch.setattr(device, "check_interrupted", pressed)
    with pytest.raises(comfy.model_management.InterruptProcessingException):
        run(demo)
    assert len(steps) == 1


def test_a_picture_that_does_not_fit_ends_the_previews_and_not_the_search(demo, monkeypatch, caplog):
    def full(*_):
        raise device.OUT_OF_MEMORY("full")

    monkeypatch.setattr(Evaluator, "sample", full)
    result, seen = run(demo)
    assert result.samples == QUICK.samples and not seen
    assert "128x64" in caplog.text and "without previews" in caplog.text


def test_prompts_without_a_clip_are_refused():
    with pytest.raises(ValueError, match="preview pictures need a CLIP"):
        search(oracle.sdxl(), None, None, [LoraSource(oracle.LORA_A)], oracle.training_set(), QUICK, previews=WANTED)


@pytest.mark.parametrize(
    ("field", "value"), [("width", 100), ("height", 4), ("every", 0), ("steps", 0), ("cfg", -1.0), ("cfg", float("nan")), ("seed", -1)]
)
def test_bad_settings_are_named(field, value):
    with pytest.raises(ValueError, match=f"{field} is {value}"):
        replace(WANTED, **{field: value})


@pytest.mark.parametrize("field", ["sampler", "scheduler"])
def test_a_sampler_that_comfyui_does_not_have_is_named(demo, field):
    with pytest.raises(ValueError, match=f"{field} is 'best'.*(euler|karras)"):
        run(demo, wanted=replace(WANTED, **{field: "best"}))


def test_a_latent_as_an_approximate_picture_has_its_hues():
    """ComfyUI's map of an SDXL latent to RGB: of a latent of zeros it is the bias, and the first channel brightens."""
    latent_format = comfy.latent_formats.SDXL()
    latent = torch.zeros(4, 2, 3)
    latent[0, 0, 0] = 1 / latent_format.scale_factor
    pixels = pictures.approximate(latent_format, latent)
    assert tuple(pixels.shape) == (2, 3, 3)
    bias = torch.tensor(latent_format.latent_rgb_factors_bias)
    torch.testing.assert_close(pixels[1, 2], (bias + 1) / 2)
    torch.testing.assert_close(pixels[0, 0], (bias + torch.tensor(latent_format.latent_rgb_factors[0]) + 1) / 2)


@pytest.mark.parametrize(("free", "fits"), [(1e9, False), (1e12, True)])
def test_a_vae_that_would_push_other_models_out_waits(demo, monkeypatch, free, fits):
    vae = demo[2]
    monkeypatch.setattr(vae.patcher, "load_device", torch.device("cuda"))
    monkeypatch.setattr(comfy.model_management, "get_free_memory", lambda where: free)
    assert pictures.fits(vae, torch.zeros(4, 128, 128)) is fits

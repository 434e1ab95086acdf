"""BASE: the gradient runs through both text encoders."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import load_file

from appl_search import LoraSource, Models, SearchSettings, Task, TrainingSet
from appl_search.architectures.sdxl import SDXL
from appl_search.demo import load_images, load_tiny_sdxl, lora_paths
from appl_search.gradients.draws import Draws
from appl_search.gradients.evaluator import opened


@pytest.fixture(scope="module")
def evaluator():
    model, clip, vae = load_tiny_sdxl()
    source = LoraSource(lora_paths()["character"])
    settings = SearchSettings(samples=3, batch_size=3)
    images, captions = load_images("train")
    training_set = TrainingSet.from_images(images[:3], captions[:3])
    models = Models(model=model, clip=clip, vae=vae)
    with opened(Task(models=models, loras=[source], images=training_set, settings=settings)) as evaluator:
        yield evaluator


@pytest.mark.parametrize("block", ["BASE", "IN04", "OUT03"])
def test_gradients_equal_finite_differences_through_the_whole_model(evaluator, block):
    draw = Draws(evaluator.shapes, 3, 3, seed=0).current()
    rates = torch.full((1, 20), 0.7, dtype=torch.float64)
    step = torch.zeros(1, 20, dtype=torch.float64)
    step[0, SDXL.block_index(block)] = 0.02
    above, below = (evaluator.losses(draw, rates + sign * step) for sign in (1, -1))
    parameter = int(evaluator.rates.parameter_of[0, SDXL.block_index(block)])
    found = evaluator.gradients(draw, rates).gradients[:, parameter]
    torch.testing.assert_close(found, (above - below) / 0.04, rtol=0.02, atol=2e-5)
    assert found.abs().max() > 1e-4


def test_text_encoder_outputs_are_computed_once_when_no_lora_has_text_encoder_keys(monkeypatch):
    from appl_search import search
    from appl_search.host import conditioning

    calls = []
    encode = conditioning.encode_caption
    monkeypatch.setattr(conditioning, "encode_caption", lambda *args: calls.append(None) or encode(*args))
    images, captions = load_images("train")
    training_set = TrainingSet.from_images(images[:4], [captions[0], captions[0], captions[1], captions[1]])
    settings = SearchSettings(method="adamw", samples=6, batch_size=2)
    search(*load_tiny_sdxl(), [LoraSource(lora_paths()["style"])], training_set, settings)
    assert len(calls) == 2


def skipping_layers(clip):
    skipping = clip.clone()
    skipping.clip_layer(-3)
    return skipping


def with_a_hook_lora(clip):
    """As the host's Set CLIP Hooks makes it, for the text encoders alone."""
    hooks = pytest.importorskip("comfy.hooks", reason="This host has no hooks.")
    lora = hooks.create_hook_lora(load_file(lora_paths()["character"]), 0.0, 1.5)
    hooked = clip.clone()
    hooked.patcher.forced_hooks = lora.clone()
    hooked.patcher.forced_hooks.set_keyframes_on_hooks(None)
    hooked.patcher.register_all_hook_patches(lora, hooks.create_target_dict(hooks.EnumWeightTarget.Clip))
    return hooked


@pytest.mark.parametrize("change", [skipping_layers, with_a_hook_lora])
def test_what_is_on_the_clip_counts_as_in_comfyui(change):
    model, clip, vae = load_tiny_sdxl()
    changed, caption = change(clip), "a zibby"
    expected, pooled = changed.encode_from_tokens(changed.tokenize(caption), return_pooled=True)
    assert not torch.equal(expected, clip.encode_from_tokens(clip.tokenize(caption)))
    images = TrainingSet.from_images(load_images("train")[0][:1], caption)
    task = Task(models=Models(model=model, clip=changed, vae=vae), loras=[LoraSource(lora_paths()["character"])], images=images)
    with opened(task) as evaluator, torch.no_grad():
        (encoded,) = evaluator._text.batch([evaluator.examples.of(0, 0)], torch.zeros(1, evaluator.rates.constant.numel()))
    torch.testing.assert_close(encoded["c_crossattn"].cond, expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(encoded["y"].cond[:, : pooled.shape[1]], pooled, rtol=1e-4, atol=1e-5)

"""After a search, any error and Cancel at any point, MODEL and CLIP are bit for bit what they were."""

from __future__ import annotations

import comfy.lora
import comfy.model_management
import pytest
import torch

import appl_search.gradients.evaluator
from appl_search import LoraSource, PreviewSettings, SearchSettings, TrainingSet, search
from appl_search.demo import load_images, load_tiny_sdxl, lora_paths
from appl_search.gradients.patching import Patched
from appl_search.host import conditioning, device
from appl_search.searching.methods import adamw
from tests import oracle

QUICK = SearchSettings(method="adamw", samples=4, batch_size=2, validation=2, comparison=1)


class Failure(Exception):
    pass


def fingerprint(model: torch.nn.Module):
    """Every weight's identity and bytes, and everything that hangs on the modules."""
    weights = {name: (id(tensor), tensor.clone()) for name, tensor in model.named_parameters()}
    hanging = [
        (name, dict(module._forward_hooks), dict(module._forward_pre_hooks), module.__dict__.get("forward"))
        for name, module in model.named_modules()
    ]
    return weights, hanging, [p.requires_grad for p in model.parameters()]


def assert_unchanged(before, model):
    weights, hanging, requires_grad = fingerprint(model)
    assert hanging == before[1] and requires_grad == before[2]
    assert weights.keys() == before[0].keys()
    for name, (identity, tensor) in weights.items():
        assert identity == before[0][name][0] and torch.equal(tensor, before[0][name][1]), name


def fail(*_, **__):
    raise Failure


def at_call(number, function, error):
    calls = []

    def wrapped(*args, **kwargs):
        calls.append(None)
        if len(calls) == number:
            raise error
        return function(*args, **kwargs)

    return wrapped


PHASES = {
    "reading the LoRA": lambda patch: patch.setattr(comfy.lora, "load_lora", fail),
    "loading the model": lambda patch: patch.setattr(device, "load", fail),
    "putting on the deltas": lambda patch: patch.setattr(
        Patched, "_patched_forward", at_call(5, Patched._patched_forward, Failure())
    ),
    "the second forward": lambda patch: patch.setattr(
        Patched, "strengths", property(fail, at_call(2, Patched.strengths.fset, Failure()))
    ),
    "backward": lambda patch: patch.setattr(torch.autograd, "grad", at_call(2, torch.autograd.grad, Failure())),
    "the method's step": lambda patch: patch.setattr(adamw.AdamW, "step", fail),
}


@pytest.mark.parametrize("phase", PHASES)
def test_a_failure_leaves_the_model_as_it_was(phase, monkeypatch):
    model = oracle.sdxl()
    before = fingerprint(model.model)
    PHASES[phase](monkeypatch)
    with pytest.raises(Failure):
        search(model, None, None, [LoraSource(oracle.LORA_A)], oracle.training_set(), QUICK)
    monkeypatch.undo()
    assert_unchanged(before, model.model)
    assert not model.patches and model.model_options == {"transformer_options": {}}


def test_a_failing_listener_leaves_the_model_as_it_was():
    model = oracle.sdxl()
    before = fingerprint(model.model)
    with pytest.raises(Failure):
        search(model, None, None, [LoraSource(oracle.LORA_B)], oracle.training_set(), QUICK, on_event=fail)
    assert_unchanged(before, model.model)


@pytest.mark.parametrize("when", ["before the first batch", "after it"])
def test_cancel_leaves_the_model_as_it_was_and_takes_one_batch_at_most(when):
    model, seen = oracle.sdxl(), []
    before = fingerprint(model.model)

    def press_cancel(event):
        seen.append(event)
        comfy.model_management.interrupt_current_processing(True)

    if when == "before the first batch":
        comfy.model_management.interrupt_current_processing(True)
    with pytest.raises(comfy.model_management.InterruptProcessingException):
        search(
            model, None, None, [LoraSource(oracle.LORA_A)], oracle.training_set(), QUICK, on_event=press_cancel
        )  # fmt: skip
    assert len(seen) == (0 if when == "before the first batch" else 1)
    assert_unchanged(before, model.model)


def test_a_search_leaves_a_model_that_was_loaded_in_inference_mode_as_it_was():
    with torch.inference_mode():
        model = oracle.sdxl()
        for module in model.model.modules():
            for name, weight in module._parameters.items():
                if weight is not None:
                    module._parameters[name] = torch.nn.Parameter(weight.clone(), requires_grad=False)
        assert all(weight.is_inference() for weight in model.model.parameters())
        before = fingerprint(model.model)
        result = search(model, None, None, [LoraSource(oracle.LORA_B)], oracle.training_set(), QUICK)
        assert_unchanged(before, model.model)
    normal = search(oracle.sdxl(), None, None, [LoraSource(oracle.LORA_B)], oracle.training_set(), QUICK)
    assert result.block_weights[0].values == pytest.approx(normal.block_weights[0].values, abs=1e-5)


@pytest.mark.parametrize("phase", ["encode_image", "encode_caption"])
def test_a_failure_while_encoding_leaves_every_model_as_it_was(phase, monkeypatch):
    function = getattr(conditioning, phase)
    monkeypatch.setattr(appl_search.gradients.evaluator.conditioning, phase, at_call(2, function, Failure()))
    assert_a_failing_search_changes_no_model_of_the_demo()


def test_a_failing_listener_of_previews_leaves_every_model_as_it_was():
    previews = PreviewSettings("a zibby", width=64, height=64, steps=1)
    assert_a_failing_search_changes_no_model_of_the_demo(previews=previews, on_preview=fail)


def assert_a_failing_search_changes_no_model_of_the_demo(**more):
    model, clip, vae = load_tiny_sdxl()
    models = [model.model, clip.cond_stage_model, vae.first_stage_model]
    before = [fingerprint(each) for each in models]
    images, captions = load_images("train")
    sources, training_set = [LoraSource(lora_paths()["character"])], TrainingSet.from_images(images[:3], captions[:3])
    with pytest.raises(Failure):
        search(model, clip, vae, sources, training_set, QUICK, **more)
    for each, expected in zip(models, before):
        assert_unchanged(expected, each)
    assert "load_model" not in vars(clip)

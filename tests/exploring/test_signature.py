"""What models are, as a hash: the same for the same contents, another for any change that a picture shows."""

from __future__ import annotations

import comfy.model_management
import comfy.model_sampling
import comfy.sd
import comfy.utils
import pytest
import torch

from appl_search import demo
from appl_search.host.signature import signature
from tests import oracle, other_process


@pytest.fixture(scope="module")
def checkpoint():
    return demo.load_tiny_sdxl()


def with_lora(model, path, strength):
    return comfy.sd.load_lora_for_models(model, None, comfy.utils.load_torch_file(str(path)), strength, strength)[0]


def scaled_by(factor: float):
    return lambda args: args["cond"] * factor


class Hook:
    """As packs put them on a MODEL: an object with values, and with things of its own."""

    def __init__(self, weight: float):
        self.weight, self.lock = weight, object()

    def __call__(self, q, k, v, extra_options):
        return q * self.weight, k, v


def changed(model, change: str):
    """A clone with something else on it."""
    new = model.clone()
    if change == "a function's value":
        new.set_model_sampler_cfg_function(scaled_by(1.1))
    elif change == "another value":
        new.set_model_sampler_cfg_function(scaled_by(1.2))
    elif change == "an object's value":
        new.set_model_attn1_patch(Hook(1.1))
    elif change == "another of its values":
        new.set_model_attn1_patch(Hook(1.2))
    elif change == "another schedule":
        schedule = comfy.model_sampling.ModelSamplingDiscrete(model.model.model_config)
        schedule.set_sigmas(schedule.sigmas * 1.1)
        new.add_object_patch("model_sampling", schedule)
    elif change == "a LoRA":
        new = with_lora(new, oracle.LORA_A, 0.5)
    elif change == "its strength":
        new = with_lora(new, oracle.LORA_A, 0.6)
    elif change == "another LoRA":
        new = with_lora(new, oracle.LORA_B, 0.5)
    return new


def test_every_change_of_a_model_gives_another_and_the_same_change_the_same(checkpoint):
    model = checkpoint[0]
    changes = (
        "nothing", "a function's value", "another value", "an object's value", "another of its values", "another schedule", "a LoRA",
        "its strength", "another LoRA",
    )  # fmt: skip
    found = {change: signature(changed(model, change)) for change in changes}
    assert len(set(found.values())) == len(changes)
    assert {change: signature(changed(model, change)) for change in changes} == found


def test_a_change_of_all_weights_of_one_layer_gives_another():
    model = oracle.sdxl()
    before = signature(model)
    largest = max(model.model.diffusion_model.parameters(), key=torch.Tensor.numel)
    with torch.no_grad():
        largest.mul_(1.001)
    assert signature(model) != before


def test_large_tensors_are_read_at_both_ends_and_between():
    plain = torch.zeros(1 << 20)
    found = {signature(plain)}
    for place in (0, -1, (len(plain) - 128) // 3 + 5):
        other = plain.clone()
        other[place] = 1
        found.add(signature(other))
    assert len(found) == 4


def test_loading_and_unloading_changes_nothing():
    model, clip, vae = demo.load_tiny_sdxl()
    before = signature(model, clip, vae)
    comfy.model_management.load_models_gpu([model, clip.patcher, vae.patcher])
    loaded = signature(model, clip, vae)
    comfy.model_management.unload_all_models()
    assert before == loaded == signature(model, clip, vae)


def test_it_is_the_same_with_other_patches_in_the_loaded_weights():
    model = oracle.sdxl()
    before = signature(model)
    patched = with_lora(model, oracle.LORA_B, 0.7)
    with_patches = signature(patched)
    comfy.model_management.load_models_gpu([patched])
    try:
        assert (signature(model), signature(patched)) == (before, with_patches)
    finally:
        comfy.model_management.unload_all_models()


def test_it_is_the_same_in_another_process(checkpoint):
    ran = other_process.run(["from appl_search import demo", "from appl_search.host.signature import signature", "print(signature(*demo.load_tiny_sdxl()))"])
    assert ran.stdout.split()[-1:] == [signature(*checkpoint)], ran.stderr[-2000:]


def test_clip_skip_and_the_vae_count(checkpoint):
    _, clip, vae = checkpoint
    skipping = clip.clone()
    skipping.clip_layer(-2)
    assert signature(skipping) != signature(clip) == signature(clip.clone())
    before = signature(vae)
    weight = max(vae.first_stage_model.parameters(), key=torch.Tensor.numel)
    kept = weight.clone()
    with torch.no_grad():
        weight.mul_(1.01)
    try:
        assert signature(vae) != before
    finally:
        with torch.no_grad():
            weight.copy_(kept)
    assert signature(vae) == before


def test_conditioning_counts_with_all_that_it_carries(checkpoint):
    context = torch.randn(1, 77, 16)
    conditioning = [[context, {"pooled_output": torch.zeros(1, 4), "strength": 1.0}]]
    others = [
        [[context + 1e-3, conditioning[0][1]]], [[context, {**conditioning[0][1], "strength": 0.9}]], [[context, {**conditioning[0][1], "area": (1, 2)}]],
    ]  # fmt: skip
    assert len({signature(each) for each in [conditioning, *others]}) == 4
    assert signature(conditioning) == signature([[context.clone(), dict(conditioning[0][1])]])


def test_things_that_hold_each_other_end():
    one, other = Hook(1.0), Hook(2.0)
    one.lock, other.lock = [other], [one]
    assert signature(one) != signature(other)

"""Block weights as hooks: what ComfyUI's sampler makes of them is what it makes of applied block weights."""

from __future__ import annotations

import pytest
import torch

from appl_search import BlockWeights, LoraSource
from appl_search.architectures.sdxl import SDXL
from appl_search.demo import load_tiny_sdxl, lora_paths
from appl_search.host.compat import HAS_HOOKS
from appl_search.host.errors import ModelError
from appl_search.host.lora_hooks import hooks
from appl_search.host.lora_loading import load
from appl_search.host.lora_patches import apply
from tests import oracle

needs_hooks = pytest.mark.skipif(not HAS_HOOKS, reason="this comfy has no hooks: they came with 0.3.7")
RATES = {block: round(0.15 * number - 0.6, 2) for number, block in enumerate(SDXL.blocks)} | {"IN05": 0.0}


@pytest.fixture(scope="module")
def checkpoint():
    return load_tiny_sdxl()


@pytest.fixture(scope="module")
def loras(checkpoint):
    """Both of the demo's LoRAs at rates that differ from block to block."""
    model, clip, _ = checkpoint
    return [
        (load(LoraSource(path), model, clip), BlockWeights.for_lora(LoraSource(path), RATES)) for path in lora_paths().values()
    ]


def sampled(model, positive, negative, scale=2.0):
    """A latent [1, 4, 16, 16] after three steps."""
    import comfy.sample

    noise = torch.randn(1, 4, 16, 16, generator=torch.Generator().manual_seed(1))
    return comfy.sample.sample(
        model, noise, 3, scale, "euler", "normal", positive, negative, torch.zeros_like(noise), disable_pbar=True, seed=1
    )


def encoded(clip):
    cond, pooled = clip.encode_from_tokens(clip.tokenize("a zibby"), return_pooled=True)
    return [[cond, {"pooled_output": pooled, "width": 128, "height": 128}]]


def applied(checkpoint, loras, *strengths):
    model, clip, _ = checkpoint
    for lora, weights in loras:
        model, clip = apply(model, clip, lora, weights, *strengths)
    return model, clip


@needs_hooks
@pytest.mark.parametrize("strength", [1.0, -0.5])
def test_a_conditioning_with_the_hooks_is_sampled_as_with_applied_block_weights(checkpoint, loras, strength):
    import comfy.hooks

    model, clip, _ = checkpoint
    cond = encoded(clip)
    patched, _ = applied(checkpoint, loras, strength)
    hooked = comfy.hooks.set_hooks_for_conditioning(cond, hooks(loras, clip, strength))
    expected, plain = sampled(patched, cond, cond), sampled(model, cond, cond)
    assert not torch.allclose(expected, plain, atol=1e-2)
    torch.testing.assert_close(sampled(model, hooked, hooked), expected, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(sampled(model, cond, cond), plain, rtol=0, atol=0)


@needs_hooks
def test_only_the_conditioning_that_they_are_set_on_gets_them(checkpoint, loras):
    """At scale 1 the negative one has no weight, at scale 0 the positive one has none."""
    import comfy.hooks

    model, clip, _ = checkpoint
    cond = encoded(clip)
    hooked = comfy.hooks.set_hooks_for_conditioning(cond, hooks(loras, clip))
    patched, _ = applied(checkpoint, loras)
    torch.testing.assert_close(sampled(model, hooked, cond, 1.0), sampled(patched, cond, cond, 1.0), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(sampled(model, hooked, cond, 0.0), sampled(model, cond, cond, 0.0), rtol=1e-4, atol=1e-4)


@needs_hooks
def test_text_encoders_with_the_hooks_encode_as_with_applied_block_weights(checkpoint, loras):
    from comfy_extras.nodes_hooks import SetClipHooks

    _, clip, _ = checkpoint
    group = hooks(loras, clip, strength_clip=1.5)
    (hooked,) = SetClipHooks().apply_hooks(clip=clip, hooks=group, apply_to_conds=True, schedule_clip=False)
    _, patched = applied(checkpoint, loras, 1.0, 1.5)
    (expected, about), (found, said) = encoded(patched)[0], encoded(hooked)[0]
    assert not torch.allclose(expected, encoded(clip)[0][0], atol=1e-3)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(said["pooled_output"], about["pooled_output"], rtol=1e-4, atol=1e-5)


@needs_hooks
def test_keyframes_of_comfyui_turn_them_off_and_on(checkpoint, loras):
    import comfy.hooks

    model, clip, _ = checkpoint
    cond, group = encoded(clip), hooks(loras, clip)
    off = comfy.hooks.HookKeyframeGroup()
    off.add(comfy.hooks.HookKeyframe(strength=0.0))
    group.set_keyframes_on_hooks(off)
    hooked = comfy.hooks.set_hooks_for_conditioning(cond, group)
    torch.testing.assert_close(sampled(model, hooked, hooked), sampled(model, cond, cond), rtol=1e-4, atol=1e-4)


@needs_hooks
@pytest.mark.parametrize("middle", [0.3, 0.5, 0.9])
def test_two_sets_of_rates_for_two_parts_of_sampling_act_one_after_the_other(checkpoint, loras, middle):
    import comfy.hooks
    import comfy.samplers

    model, clip, _ = checkpoint
    cond, (early, late) = encoded(clip), (loras[:1], loras[1:])
    sampling = model.get_model_object("model_sampling")
    first = int((comfy.samplers.calculate_sigmas(sampling, "normal", 6) > sampling.percent_to_sigma(middle)).sum())
    noise, nothing = torch.randn(1, 4, 16, 16, generator=torch.Generator().manual_seed(1)), torch.zeros(1, 4, 16, 16)

    def after(patched, positive, noise, start, **part):
        sampler = comfy.samplers.KSampler(patched, 6, patched.load_device, "euler", "normal", 1.0, patched.model_options)
        return sampler.sample(noise, positive, positive, 2.0, latent_image=start, disable_pbar=True, seed=1, **part)

    half = after(applied(checkpoint, early)[0], cond, noise, nothing, last_step=first)
    expected = after(applied(checkpoint, late)[0], cond, nothing, half, start_step=first)
    assert 0 < first < 6 and not torch.allclose(after(applied(checkpoint, early)[0], cond, noise, nothing), expected, atol=1e-2)
    group = hooks(late, clip, previous=hooks(early, clip, end_percent=middle), start_percent=middle)
    hooked = comfy.hooks.set_hooks_for_conditioning(cond, group)
    torch.testing.assert_close(after(model, hooked, noise, nothing), expected, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("part", [(0.5, 0.5), (-0.1, 1.0), (0.0, 1.1)])
@needs_hooks
def test_a_part_of_sampling_that_is_none_is_refused(checkpoint, loras, part):
    with pytest.raises(ValueError, match=f"start_percent is {part[0]} and end_percent {part[1]}, expected numbers from 0 to 1"):
        hooks(loras, checkpoint[1], start_percent=part[0], end_percent=part[1])


@needs_hooks
def test_hooks_that_are_there_already_stay_and_the_group_itself_is_not_changed(checkpoint, loras):
    import comfy.hooks

    model, clip, _ = checkpoint
    cond = encoded(clip)
    first = hooks(loras[:1], clip)
    count = len(first)
    both = hooks(loras[1:], clip, previous=first)
    assert len(first) == count and len(both) > count
    hooked = comfy.hooks.set_hooks_for_conditioning(cond, both)
    patched, _ = applied(checkpoint, loras)
    torch.testing.assert_close(sampled(model, hooked, hooked), sampled(patched, cond, cond), rtol=1e-4, atol=1e-4)


@needs_hooks
def test_blocks_that_are_off_have_no_hook(checkpoint):
    model, clip, _ = checkpoint
    source = LoraSource(lora_paths()["style"])
    weights = BlockWeights.for_lora(source, dict.fromkeys(SDXL.blocks, 0.0) | {"OUT01": 0.5, "OUT02": 0.5})
    (hook,) = hooks([(load(source, model, clip), weights)], clip).hooks
    assert {SDXL.blocks[SDXL.block_of_key(key)] for key in hook.weights} <= {"OUT01", "OUT02"}
    assert hook.strength_model == 0.5 and hook.weights_clip == {}


@pytest.mark.skipif(HAS_HOOKS, reason="this comfy has hooks")
def test_a_host_without_hooks_is_told_so():
    source = LoraSource(oracle.LORA_A)
    weights = BlockWeights.for_lora(source, RATES)
    with pytest.raises(ModelError, match="This ComfyUI has no hooks: they came with version 0.3.7"):
        hooks([(load(source, oracle.sdxl(), None), weights)], None)

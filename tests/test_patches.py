"""With any patch on the MODEL a search predicts what ComfyUI's own sampler does, and its gradients are right; or it says no."""

from __future__ import annotations

from dataclasses import replace

import comfy.ldm.modules.attention
import comfy.model_management
import comfy.model_patcher
import comfy.samplers
import pytest
import torch

from appl_search import LoraSource, SearchSettings, search
from appl_search.demo import load_tiny_sdxl
from appl_search.gradients.draws import Draw
from appl_search.gradients.evaluator import opened
from appl_search.host import lora_loading, lora_patches
from appl_search.host.denoiser import seed_of
from appl_search.host.errors import ModelError
from appl_search.weights.block_weights import BlockWeights
from tests import oracle
from tests.patches import CHECKPOINTED_TOO, SERVED, attention_override, without_graph

SOURCE = LoraSource(oracle.LORA_A)
RATES = torch.linspace(-0.3, 0.9, 20).double()[None]
LEVEL = torch.tensor([0.83], dtype=torch.float64)
SETTINGS = SearchSettings(batch_size=2)


def opened_with(model):
    return opened(oracle.task(model, [SOURCE], SETTINGS))


def the_samplers_prediction(model, noisy, sigma):
    """What ComfyUI's CFGGuider asks of the network for the positive, with a negative beside it, before any guidance."""
    lora = lora_loading.load(SOURCE, model, None)
    model, _ = lora_patches.apply(model, None, lora, BlockWeights.for_lora(SOURCE, RATES[0].tolist()))
    positive = oracle.conditioning()
    negative = [[-positive[0][0].flip(2), positive[0][1]]]
    seen = []

    class OneStep:
        def sample(self, guider, sigmas, extra_args, callback, noise, *rest):
            extra_args["model_options"].setdefault("transformer_options", {})
            seed = torch.initial_seed()
            torch.manual_seed(seed_of(noisy))
            guider(noisy, sigma, **extra_args)
            torch.manual_seed(seed)
            return noise

    predict = comfy.samplers.calc_cond_batch

    def keep(*arguments):
        found = predict(*arguments)
        seen.append(found[0].clone())
        return found

    with pytest.MonkeyPatch.context() as patch, torch.no_grad():
        patch.setattr(comfy.samplers, "calc_cond_batch", keep)
        guider = comfy.samplers.CFGGuider(model)
        guider.set_conds(positive, negative)
        guider.set_cfg(7.0)
        empty = torch.zeros_like(noisy)
        guider.sample(noisy.clone(), empty, OneStep(), torch.cat([sigma, torch.zeros(1)]), seed=1)
    return seen[0]


def a_draw():
    generator = torch.Generator().manual_seed(2)
    noise, probe = torch.randn(2, 1, 4, 16, 16, generator=generator)
    return Draw(numbers=[0], indices=torch.tensor([3]), levels=LEVEL, noise=list(noise), probes=list(probe),
                generators=[torch.Generator()])


@pytest.mark.parametrize("patch", SERVED)
def test_a_search_predicts_what_the_sampler_does(patch):
    model = SERVED[patch](oracle.sdxl())
    with opened_with(model) as evaluator:
        denoiser, schedule = evaluator.denoiser, evaluator.denoiser.schedule
        draw, toward = a_draw(), torch.linspace(1, -0.5, 20).double()[None]
        along = toward.flatten()[evaluator.rates.searched]
        (found,) = evaluator.predictions(draw, RATES)
        slope = evaluator.gradients(draw, RATES).gradients @ along
        above, below = (evaluator.losses(draw, RATES + step * toward) for step in (1e-2, -1e-2))
        if patch in CHECKPOINTED_TOO:
            evaluator._memory._checkpoint()
            torch.testing.assert_close(evaluator.gradients(draw, RATES).gradients @ along, slope, rtol=1e-3, atol=1e-5)
        sigma, _ = schedule.sigma_at(LEVEL)
        noisy = schedule.noisy(denoiser.latent_in(evaluator.examples.of(3, 0).latent[None]), draw.noise[0][None], sigma)
    model = oracle.sdxl() if patch == "torch.compile" else model  # minutes, for the same numbers
    expected = schedule.output(the_samplers_prediction(model, noisy, sigma), noisy, sigma)
    torch.testing.assert_close(found[None], expected, rtol=2e-4, atol=2e-4 * float(expected.abs().max()))
    torch.testing.assert_close(slope, (above - below) / 2e-2, rtol=5e-3, atol=1e-5 * float(above))


def losses_at(model, indices):
    """Of one picture at entries of the MODEL's own table of noise levels; and these levels."""
    with opened_with(model) as evaluator:
        sigmas = evaluator.denoiser.schedule.sigmas
        levels = [(index + 0.5) / len(sigmas) for index in indices]
        draws = [replace(a_draw(), levels=torch.tensor([level], dtype=torch.float64)) for level in levels]
        return torch.cat([evaluator.losses(draw, RATES) for draw in draws]), sigmas[list(indices)]


def test_the_losses_with_lcms_50_noise_levels_are_those_without_it_at_the_same_levels():
    found, levels = losses_at(SERVED["lcm"](oracle.sdxl()), (3, 20, 44))
    expected, same = losses_at(oracle.sdxl(), (79, 419, 899))
    torch.testing.assert_close(levels, same)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=0)


def gradients_of(model):
    with opened_with(model) as evaluator:
        return evaluator.gradients(a_draw(), RATES)


def test_attention_without_a_backward_is_replaced_for_the_search(monkeypatch):
    expected = gradients_of(oracle.sdxl())

    def sage(q, k, v, heads, *args, **kwargs):
        return comfy.ldm.modules.attention.attention_pytorch(q.detach(), k.detach(), v.detach(), heads, *args, **kwargs)

    monkeypatch.setattr(comfy.ldm.modules.attention, "optimized_attention", sage)
    monkeypatch.setattr(comfy.ldm.modules.attention, "optimized_attention_masked", sage)
    assert torch.equal(gradients_of(oracle.sdxl()).gradients, expected.gradients)
    assert comfy.ldm.modules.attention.optimized_attention is sage
    if "transformer_options" in comfy.ldm.modules.attention.CrossAttention.forward.__code__.co_varnames:
        overridden = attention_override(without_graph)(oracle.sdxl())
        assert torch.equal(gradients_of(overridden).gradients, expected.gradients)


def test_an_attention_override_of_its_own_kind_without_gradients_is_refused():
    def other(attention, q, k, v, heads, **kwargs):
        return (attention(q, k, v, heads) * 2).detach()

    with pytest.raises(ModelError, match=r"override .*other has no gradients, and computes something else"):
        gradients_of(attention_override(other)(oracle.sdxl()))


def test_a_patch_with_tensors_of_inference_mode_is_named():
    with torch.inference_mode():
        scale = torch.full((1,), 1.5)
    model = oracle.sdxl().clone()
    model.set_model_output_block_patch(lambda h, skip, options: (h * scale, skip))
    with torch.inference_mode(), pytest.raises(ModelError, match=r"patch tests?.*test_patches.*lambda.* made in inference mode"):
        gradients_of(model)


def test_what_a_patch_computes_with_is_loaded_too():
    model = oracle.sdxl().clone()
    if not hasattr(model, "set_additional_models"):
        pytest.skip("This host has no additional models.")
    where = comfy.model_management.get_torch_device(), torch.device("cpu")
    other = comfy.model_patcher.ModelPatcher(torch.nn.Linear(2, 2), *where)
    model.set_additional_models("test", [other])
    with opened_with(model):
        assert other in comfy.model_management.loaded_models()


def notes_of(model):
    """What a search says of the MODEL."""
    quick = SearchSettings(method="adamw", samples=2, batch_size=2, validation=0, comparison=0)
    notes = search(model, None, None, [SOURCE], oracle.training_set(), quick).notes
    return [note for note in notes if "MODEL" in note]


@pytest.mark.parametrize("kind", ["OUTER_SAMPLE", "SAMPLER_SAMPLE", "PREDICT_NOISE"])
def test_a_wrapper_around_the_sampler_is_left_out_and_it_is_said(kind):
    wrappers = pytest.importorskip("comfy.patcher_extension", reason="This host has no wrappers.").WrappersMP
    if not hasattr(wrappers, kind):
        pytest.skip(f"This host has no wrapper {kind}.")

    def my_wrapper(executor, *args, **kwargs):
        return executor(*args, **kwargs)

    model = oracle.sdxl().clone()
    model.add_wrapper_with_key(getattr(wrappers, kind), "my pack", my_wrapper)
    (note,) = notes_of(model)
    assert f"the wrapper {kind.lower()} " in note and "my_wrapper, which acts around a whole run of a sampler" in note


@pytest.mark.parametrize("patch", ["nothing", "IPAdapter-like", "PAG", "SAG", "ToMe", "HyperTile", "EasyCache", "NAG"])
def test_a_patch_that_mixes_the_negative_into_the_positive_is_told(patch):
    notes = notes_of(nag(oracle.sdxl()) if patch == "NAG" else SERVED[patch](oracle.sdxl()))
    assert [note.startswith("A patch on the MODEL lets the negative prompt change") for note in notes] == [True] * (patch == "NAG")


def nag(model):
    """As the host's own NAGuidance, which is in newer hosts only."""

    def mix(out, extra_options):
        shown = extra_options["cond_or_uncond"]
        if 0 in shown and 1 in shown:
            parts = list(out.chunk(len(shown)))
            parts[shown.index(0)] = 3 * parts[shown.index(0)] - 2 * parts[shown.index(1)]
            return torch.cat(parts)
        return out

    patched = model.clone()
    patched.set_model_attn1_output_patch(mix)
    return patched


HOOKS = {"change the MODEL": {"apply_hooks_to_conds": object()}, "other prompts at other noise levels": {"use_clip_schedule": True}}


@pytest.mark.parametrize("what", HOOKS)
def test_hooks_of_a_clip_that_reach_beyond_the_text_encoders_are_refused(what):
    model, clip, vae = load_tiny_sdxl()
    vars(clip).update(HOOKS[what])
    clip.patcher.forced_hooks = object()
    with pytest.raises(ModelError, match=f"The CLIP has hooks .*{what}.* Connect the CLIP from before that node"):
        search(model, clip, vae, [SOURCE], oracle.training_set())

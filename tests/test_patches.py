"""With any patch on the MODEL a search predicts what ComfyUI's own sampler does, and its gradients are right; or it says no."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from types import SimpleNamespace

import comfy.ldm.modules.attention
import comfy.model_sampling
import comfy.samplers
import comfy.sd
import pytest
import torch
from safetensors.torch import load_file

from appl_search import LoraSource, SearchSettings
from appl_search.gradients.draws import Draw
from appl_search.gradients.evaluator import opened
from appl_search.host import lora_loading, lora_patches
from appl_search.host.denoiser import seed_of
from appl_search.host.errors import ModelError
from appl_search.weights.block_weights import BlockWeights
from tests import oracle

SOURCE = LoraSource(oracle.LORA_A)
RATES = torch.linspace(-0.3, 0.9, 20).double()[None]
LEVEL = torch.tensor([0.83], dtype=torch.float64)
SETTINGS = SearchSettings(batch_size=2)


def node(module, name, model, *inputs):
    """A node of the host's extras on a model; the test is skipped on a host without it."""
    try:
        with pytest.MonkeyPatch.context() as patch:
            # What some extras import and these nodes do not need.
            patch.setitem(sys.modules, "nodes", SimpleNamespace(MAX_RESOLUTION=16384))
            if importlib.util.find_spec("folder_paths") is None:
                patch.setitem(sys.modules, "folder_paths", SimpleNamespace())
            node_class = getattr(importlib.import_module(f"comfy_extras.{module}"), name)
    except (ImportError, AttributeError) as error:
        pytest.skip(f"This host has no {name}: {error}")
    function = getattr(node_class, "execute", None) or getattr(node_class(), node_class.FUNCTION)
    try:
        made = function(model, *inputs)
    except UnboundLocalError as error:
        pytest.skip(f"This host's {name} has no {inputs}: {error}")
    return getattr(made, "args", made)[0]


def discrete(kind, zsnr=False):
    return lambda model: node("nodes_model_advanced", "ModelSamplingDiscrete", model, kind, zsnr)


def continuous(kind):
    return lambda model: node("nodes_model_advanced", "ModelSamplingContinuousEDM", model, kind, 80.0, 0.02)


def attention_reading_the_sampler(model):
    """As IPAdapter does: it looks at the noise level and at what is positive, and adds attention of its own."""

    def attend(q, k, v, extra_options):
        sigma, shown = float(extra_options["sigmas"][0]), extra_options["cond_or_uncond"]
        out = comfy.ldm.modules.attention.optimized_attention(q, k, v, extra_options["n_heads"])
        parts = out.chunk(len(shown))
        return torch.cat([part + 0.3 * sigma**0.5 * part.flip(1) if one == 0 else part for part, one in zip(parts, shown)])

    patched = model.clone()
    for index in range(8):
        patched.set_model_attn2_replace(attend, "input", 4, index)
    patched.set_model_attn2_replace(attend, "middle", 0)
    return patched


def unet_wrapper(model):
    patched = model.clone()

    def wrap(apply_model, given):
        shown = given["cond_or_uncond"]
        return 0.9 * apply_model(given["input"], given["timestep"], **given["c"]) + 0.01 * len(shown) * given["input"] / len(shown)

    patched.set_model_unet_function_wrapper(wrap)
    return patched


def wrapper(kind):
    def add(model):
        extension = pytest.importorskip("comfy.patcher_extension")
        patched = model.clone()

        def wrap(executor, x, t, *args, **kwargs):
            assert kwargs.get("transformer_options", args[-1])["sample_sigmas"] is not None
            return executor(1.01 * x, t, *args, **kwargs) * 0.9

        patched.add_wrapper_with_key(getattr(extension.WrappersMP, kind), "test", wrap)
        return patched

    return add


def bypass(model):
    if not hasattr(comfy.sd, "load_bypass_lora_for_models"):
        pytest.skip("This host has no bypass LoRAs.")
    return comfy.sd.load_bypass_lora_for_models(model, None, load_file(oracle.LORA_A), 0.8, 0.0)[0]


def style_lora(model):
    return comfy.sd.load_lora_for_models(model, None, load_file(oracle.LORA_B), 0.6, 0.0)[0]


def attention_override(function):
    def patch(model):
        patched = model.clone()
        patched.model_options["transformer_options"]["optimized_attention_override"] = function
        return patched

    return patch


def sharper(attention, q, k, v, heads, **kwargs):
    return attention(1.3 * q, k, v, heads, **kwargs)


def without_graph(attention, q, k, v, heads, **kwargs):
    return attention(q.detach(), k.detach(), v.detach(), heads, **kwargs)


SERVED = {
    "nothing": lambda model: model,
    "FreeU": lambda model: node("nodes_freelunch", "FreeU", model, 1.1, 1.2, 0.9, 0.2),
    "FreeU_V2": lambda model: node("nodes_freelunch", "FreeU_V2", model, 1.3, 1.4, 0.9, 0.2),
    "PAG": lambda model: node("nodes_pag", "PerturbedAttentionGuidance", model, 3.0),
    "SAG": lambda model: node("nodes_sag", "SelfAttentionGuidance", model, 0.5, 2.0),
    "RescaleCFG": lambda model: node("nodes_model_advanced", "RescaleCFG", model, 0.7),
    "IPAdapter-like": attention_reading_the_sampler,
    "eps": discrete("eps"),
    "eps zsnr": discrete("eps", True),
    "v": discrete("v_prediction"),
    "v zsnr": discrete("v_prediction", True),
    "lcm": discrete("lcm"),
    "x0": discrete("x0"),
    "EDM v": continuous("v_prediction"),
    "EDM": continuous("edm"),
    "EDM eps": continuous("eps"),
    "EDM playground": continuous("edm_playground_v2.5"),
    "continuous V": lambda model: node("nodes_model_advanced", "ModelSamplingContinuousV", model, "v_prediction", 500.0, 0.03),
    "flow": lambda model: node("nodes_model_advanced", "ModelSamplingSD3", model, 3.0),
    "merge": lambda model: node("nodes_model_merging", "ModelMergeSimple", style_lora(model), model.clone(), 0.6),
    "style LoRA": style_lora,
    "downscale": lambda model: node(
        "nodes_model_downscale", "PatchModelAddDownscale", model, 3, 2.0, 0.0, 0.35, True, "bicubic", "bicubic"
    ),
    "ToMe": lambda model: node("nodes_tomesd", "TomePatchModel", model, 0.3),
    "HyperTile": lambda model: node("nodes_hypertile", "HyperTile", model, 32, 3, 2, False),
    "unet wrapper": unet_wrapper,
    "APPLY_MODEL wrapper": wrapper("APPLY_MODEL"),
    "DIFFUSION_MODEL wrapper": wrapper("DIFFUSION_MODEL"),
    "bypass LoRA": bypass,
    "torch.compile": lambda model: node("nodes_torch_compile", "TorchCompileModel", model, "inductor"),
    "EasyCache": lambda model: node("nodes_easycache", "EasyCacheNode", model, 0.2, 0.15, 0.95, False),
    "attention override": attention_override(sharper),
}


#: Patches that keep something from one call to another, draw random numbers, or write in place.
CHECKPOINTED_TOO = ("FreeU_V2", "HyperTile", "ToMe", "bypass LoRA", "IPAdapter-like")


def opened_with(model):
    return opened(oracle.task(model, [SOURCE], SETTINGS))


def the_samplers_prediction(model, noisy, sigma):
    """What ComfyUI's CFGGuider asks of the network for the positive, with a negative beside it, before any guidance."""
    lora = lora_loading.load(SOURCE, model, None)
    model, _ = lora_patches.apply(model, None, lora, BlockWeights.for_lora(SOURCE, RATES[0].tolist()))
    positive = oracle.conditioning()
    negative = [[positive[0][0].flip(1), positive[0][1]]]
    seen = []

    class OneStep:
        def sample(self, guider, sigmas, extra_args, callback, noise, *rest):
            extra_args["model_options"].setdefault("transformer_options", {})
            seed = torch.initial_seed()
            torch.manual_seed(seed_of(noisy))
            guider(noisy, sigma, **extra_args)
            torch.manual_seed(seed)
            return noise

    def keep(model, cond_pred, *rest, **more):
        seen.append(cond_pred)
        return cond_pred

    with pytest.MonkeyPatch.context() as patch, torch.no_grad():
        patch.setattr(comfy.samplers, "cfg_function", keep)
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

"""Patches that people have on their MODEL: those of ComfyUI's own nodes, and the like of other packs'."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import inspect
import sys
from types import SimpleNamespace

import comfy.ldm.modules.attention
import comfy.sd
import pytest
import torch
from safetensors.torch import load_file

from tests import oracle


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
        inspect.signature(function).bind(model, *inputs)
    except TypeError as error:
        pytest.skip(f"This host's {name} takes other inputs: {error}")
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
        assert len(extra_options.get("uuids", shown)) == len(shown)
        out = comfy.ldm.modules.attention.optimized_attention(q, k, v, extra_options["n_heads"])
        parts = out.chunk(len(shown))
        return torch.cat([part + 0.3 * sigma**0.5 * part.flip(1) if one == 0 else part for part, one in zip(parts, shown)])

    patched = model.clone()
    for index in range(8):
        patched.set_model_attn2_replace(attend, "input", 4, index)
    patched.set_model_attn2_replace(attend, "middle", 0)
    return patched


class Moved:
    """A patch with tensors, of which ComfyUI makes another one when it loads the MODEL; before that it does nothing."""

    def __init__(self, moves=()):
        self.moves = moves

    def to(self, where):
        return Moved((*self.moves, where))

    def __call__(self, h, skip, options):
        return (1.2 * h if {torch.device("cpu"), torch.float32} <= {*self.moves} else h), skip


def patch_that_moves(model):
    patched = model.clone()
    patched.set_model_output_block_patch(Moved())
    return patched


class MovingWrapper:
    """A wrapper with tensors, which ComfyUI moves when it begins to sample."""

    def __init__(self):
        self.moves = []

    def to(self, where):
        self.moves.append(where)
        return self

    def __call__(self, executor, *args, **kwargs):
        return executor(*args, **kwargs) * (1.1 if torch.float32 in self.moves else 1.0)


def wrapper_that_moves(model):
    extension = pytest.importorskip("comfy.patcher_extension")
    patched = model.clone()
    patched.add_wrapper_with_key(extension.WrappersMP.DIFFUSION_MODEL, "test", MovingWrapper())
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


def calc_cond_batch_wrapper(model):
    extension = pytest.importorskip("comfy.patcher_extension")
    patched = model.clone()

    def wrap(executor, *args, **kwargs):
        return [None if out is None else 0.9 * out for out in executor(*args, **kwargs)]

    patched.add_wrapper_with_key(extension.WrappersMP.CALC_COND_BATCH, "test", wrap)
    return patched


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


def of_ones(name):
    return lambda model: node("nodes_attention_multiply", name, model, 1.1, 0.9, 1.05, 1.2)


#: Nodes that act on what has been predicted for the positive and the negative, with their inputs.
GUIDANCE = {
    ("nodes_apg", "APG"): (1.0, 5.0, 0.0), ("nodes_cfg", "CFGNorm"): (1.0,), ("nodes_cfg", "CFGZeroStar"): (), ("nodes_tcfg", "TCFG"): (),
    ("nodes_fresca", "FreSca"): (1.0, 1.25, 20), ("nodes_lumina2", "RenormCFG"): (100.0, 1.0), ("nodes_mahiro", "Mahiro"): (),
    ("nodes_perpneg", "PerpNeg"): (oracle.conditioning(), 1.0), ("nodes_eps", "EpsilonScaling"): (1.005,),
    ("nodes_eps", "TemporalScoreRescaling"): (0.95, 1.0), ("nodes_video_model", "VideoLinearCFGGuidance"): (1.0,),
}  # fmt: skip


def guidance(model):
    """All of those that the host has."""
    for (module, name), inputs in GUIDANCE.items():
        with contextlib.suppress(pytest.skip.Exception):
            model = node(module, name, model, *inputs)
    return model


#: Each gives a MODEL with the patch on it, or skips the test on a host without it.
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
    "flow, scaled noise": lambda model: node("nodes_model_advanced", "ModelNoiseScale", SERVED["flow"](model), 2.0),
    "AuraFlow": lambda model: node("nodes_model_advanced", "ModelSamplingAuraFlow", model, 1.73),
    "Flux": lambda model: node("nodes_model_advanced", "ModelSamplingFlux", model, 1.15, 0.5, 1024, 1024),
    "StableCascade": lambda model: node("nodes_model_advanced", "ModelSamplingStableCascade", model, 2.0),
    "merge": lambda model: node("nodes_model_merging", "ModelMergeSimple", style_lora(model), model.clone(), 0.6),
    "subtraction": lambda model: node("nodes_model_merging", "ModelSubtract", style_lora(model), model.clone(), 0.3),
    "style LoRA": style_lora,
    "downscale": lambda model: node(
        "nodes_model_downscale", "PatchModelAddDownscale", model, 3, 2.0, 0.0, 0.35, True, "bicubic", "bicubic"
    ),
    "ToMe": lambda model: node("nodes_tomesd", "TomePatchModel", model, 0.3),
    "HyperTile": lambda model: node("nodes_hypertile", "HyperTile", model, 32, 3, 2, False),
    "unet wrapper": unet_wrapper,
    "APPLY_MODEL wrapper": wrapper("APPLY_MODEL"),
    "DIFFUSION_MODEL wrapper": wrapper("DIFFUSION_MODEL"),
    "CALC_COND_BATCH wrapper": calc_cond_batch_wrapper,
    "a patch that moves": patch_that_moves,
    "a wrapper that moves": wrapper_that_moves,
    "context windows": lambda model: node(
        "nodes_context_windows", "ContextWindowsManualNode", model, 8, 4, "standard_static", 1, False, "pyramid", 3, False
    ),
    "bypass LoRA": bypass,
    "torch.compile": lambda model: node("nodes_torch_compile", "TorchCompileModel", model, "inductor"),
    "EasyCache": lambda model: node("nodes_easycache", "EasyCacheNode", model, 0.2, 0.15, 0.95, False),
    "LazyCache": lambda model: node("nodes_easycache", "LazyCacheNode", model, 0.2, 0.15, 0.95, False),
    "attention override": attention_override(sharper),
    "attention backend": lambda model: node("nodes_model_advanced", "ModelAttentionBackend", model, "comfy kitchen attention"),
    "self-attention multiplied": of_ones("UNetSelfAttentionMultiply"),
    "cross-attention multiplied": of_ones("UNetCrossAttentionMultiply"),
    "temporal attention multiplied": of_ones("UNetTemporalAttentionMultiply"),
    "guidance": guidance,
    "compute dtype": lambda model: node("nodes_model_advanced", "ModelComputeDtype", oracle.sdxl(torch.float16), "fp32"),
    "DifferentialDiffusion": lambda model: node("nodes_differential_diffusion", "DifferentialDiffusion", model),
}
#: Patches that keep something from one call to another, draw random numbers, or write in place.
CHECKPOINTED_TOO = ("FreeU_V2", "HyperTile", "ToMe", "bypass LoRA", "IPAdapter-like")

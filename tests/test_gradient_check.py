"""A gradient that is cut somewhere ends the search before its first step; a right one never does, in any dtype."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file, save_file

from appl_search import LoraSource, SearchSettings, open_search
from appl_search.host.denoiser import Denoiser
from appl_search.host.errors import ModelError
from tests import adapters, oracle

SETTINGS = SearchSettings(method="adamw", samples=2, batch_size=1)
DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}


def first_step(model, source=None, settings=SETTINGS):
    with open_search(oracle.task(model, [source or LoraSource(oracle.LORA_A)], settings)) as run:
        return next(run)


def without_gradient_of_attention(model):
    def my_patch(out, extra):
        return out.detach()

    model.set_model_attn1_output_patch(my_patch)


def without_gradient_of_skips(model):
    """Every layer is still reached, by way of the others."""

    def my_patch(h, skip, options):
        return h, skip.detach()

    model.set_model_output_block_patch(my_patch)


def without_gradient_of_one_layer(model):
    """Of the output alone, so that its input's gradient goes on by way of the others."""
    layer = model.model.diffusion_model.output_blocks[0][1].transformer_blocks[0].attn2.to_out[0]
    layer.register_forward_hook(lambda module, inputs, out: out.detach())


def halved(model):
    """A patch that scales the gradient: no layer is left out."""

    def my_patch(h, options):
        return h * 0.5 + (h * 0.5).detach()

    model.set_model_input_block_patch(my_patch)


CUTS = {
    without_gradient_of_attention: "attn1_output_patch .*my_patch",
    without_gradient_of_skips: "output_block_patch .*my_patch",
    halved: "input_block_patch .*my_patch",
    without_gradient_of_one_layer: "attn2",
}


@pytest.mark.parametrize("cut", CUTS, ids=lambda cut: cut.__name__)
def test_a_cut_gradient_is_found_before_the_first_step_and_the_patch_is_named(cut):
    model = oracle.sdxl()
    cut(model)
    with pytest.raises(ModelError, match=f"gradient is wrong.*{CUTS[cut]}.*check_gradient") as error:
        first_step(model)
    assert len(str(error.value)) < 900
    assert first_step(model, settings=replace(SETTINGS, check_gradient=False)).step == 1


@pytest.mark.parametrize("dtype", ["fp16", "bf16"])
def test_in_half_precision_a_layer_without_gradient_is_found_too(dtype):
    model = oracle.sdxl(DTYPES[dtype])
    without_gradient_of_one_layer(model)
    with pytest.raises(ModelError, match="no gradient reaches .*output_blocks.0.1.transformer_blocks.0.attn2"):
        first_step(model)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("strength", [1.0, 0.03], ids=["strong", "weak"])
def test_a_right_gradient_is_never_refused(dtype, strength, tmp_path):
    tensors = {key: value * strength if "lora_up" in key else value for key, value in load_file(oracle.LORA_A).items()}
    save_file(tensors, tmp_path / "lora.safetensors")
    for seed in range(2):
        settings = replace(SETTINGS, seed=seed)
        assert first_step(oracle.sdxl(DTYPES[dtype]), LoraSource(tmp_path / "lora.safetensors"), settings).step == 1


@pytest.mark.parametrize("kind, layer", [("dora", adapters.LINEAR), ("loha", adapters.CONV), ("diff", adapters.NORM)])
def test_nor_is_that_of_an_adapter_that_is_not_linear(kind, layer, tmp_path):
    save_file(adapters.tensors(kind, layer, 0), tmp_path / "one.safetensors")
    assert first_step(oracle.sdxl(), LoraSource(tmp_path / "one.safetensors")).step == 1


def test_it_takes_four_forwards_of_one_sample_once(monkeypatch):
    sizes, plain = [], Denoiser.__call__
    monkeypatch.setattr(Denoiser, "__call__", lambda self, noisy, *rest: sizes.append(len(noisy)) or plain(self, noisy, *rest))
    with open_search(oracle.task(oracle.sdxl(), [LoraSource(oracle.LORA_A)], replace(SETTINGS, samples=4, batch_size=2))) as run:
        assert len(list(run)) == 2
    assert sizes == [1, 1, 1, 1, 2, 2]

"""Layers that compute with their weights in a way of their own: quantised by other packs or by newer hosts."""

from __future__ import annotations

import json
from types import SimpleNamespace

import comfy.ops
import pytest
import torch
from safetensors.torch import save_file

from appl_search import LoraSource
from appl_search.host.errors import ModelError
from appl_search.host.look import look_at
from appl_search.host.lora_patches import differences
from tests import oracle
from tests.test_memory import assert_same, gradients


class QuantisedLinear(comfy.ops.manual_cast.Linear):
    """As GGUF packs do it: integers and a scale, and a cast of the layer's own."""

    def cast_bias_weight(self, input=None, dtype=None, device=None, bias_dtype=None):
        weight = self.weight.to(device or input.device).to(dtype or input.dtype) * self.scale
        return weight, None if self.bias is None else self.bias.to(input.dtype)

    def forward_comfy_cast_weights(self, input):
        weight, bias = self.cast_bias_weight(input)
        return torch.nn.functional.linear(input, weight, bias)


class UnknownLinear(QuantisedLinear):
    """Its weights are for inputs that it turns first; nobody can tell from outside."""

    def forward_comfy_cast_weights(self, input):
        return super().forward_comfy_cast_weights(input.flip(-1))


def quantised(model, kind):
    """The attention layers' weights as int8 and a scale; ``kind`` None: as floats of the same values."""
    for name, module in model.model.diffusion_model.named_modules():
        if isinstance(module, torch.nn.Linear) and "attn" in name:
            scale = module.weight.abs().amax() / 127
            integers = (module.weight / scale).round().to(torch.int8)
            if kind is None:
                module.weight = torch.nn.Parameter(integers.float() * scale, requires_grad=False)
            else:
                module.__class__, module.scale = kind, scale
                module.weight = torch.nn.Parameter(integers, requires_grad=False)
    return model


def test_layers_with_a_cast_of_their_own_are_searched_with_the_weights_they_compute_with():
    found = gradients(quantised(oracle.sdxl(), QuantisedLinear))[0]
    assert_same(found, gradients(quantised(oracle.sdxl(), None))[0], error=1e-5)


def test_a_look_at_a_lora_is_relative_to_the_weights_that_they_compute_with():
    source = LoraSource(oracle.LORA_A)
    found, expected = (look_at(source, quantised(oracle.sdxl(), kind)) for kind in (QuantisedLinear, None))
    assert [block.relative or 0 for block in found.blocks] == pytest.approx([block.relative or 0 for block in expected.blocks], rel=1e-6)


def test_a_layer_that_computes_otherwise_is_named():
    with pytest.raises(ModelError, match="test_own_layers.UnknownLinear, which computes with its weights in a way"):
        gradients(quantised(oracle.sdxl(), UnknownLinear))


FORMS = ("float8_e4m3fn", "float8_e5m2", "int8_tensorwise", "nvfp4", "mxfp8", "convrot_w4a4", "asym_w4a8_int8")


def quantised_by_the_host(form):
    """(the oracle's model with the host's quantised layers, the same with the floats that they stand for)."""
    quantisation = pytest.importorskip("comfy.quant_ops", reason="This host has no quantised layers.")
    if form not in quantisation.QUANT_ALGOS:
        pytest.skip(f"This host has no {form}.")
    layout = quantisation.QUANT_ALGOS[form]["comfy_tensor_layout"]
    state, floats = {}, oracle.sdxl()
    for key, weight in floats.model.diffusion_model.state_dict().items():
        if any(part in key for part in (".attn", ".ff.")) and key.endswith(".weight") and weight.ndim == 2 and weight.shape[1] % 256 == 0:
            small = quantisation.QuantizedTensor.from_float(weight, layout, scale="recalculate")
            state |= small.state_dict(key)
            conf = {"format": form, "full_precision_matrix_mult": True}
            state[key.replace(".weight", ".comfy_quant")] = torch.tensor(list(json.dumps(conf).encode()), dtype=torch.uint8)
            weight.copy_(small.dequantize())
        else:
            state[key] = weight
    model = oracle.sdxl(manual_cast_dtype=torch.float32, quant_config={"mixed": True}, state_dict=state)
    assert sum(hasattr(weight, "_qdata") for weight in model.model.parameters()) > 4
    return model, floats


@pytest.mark.parametrize("form", FORMS)
def test_the_hosts_own_quantised_layers(form):
    model, floats = quantised_by_the_host(form)
    assert_same(gradients(model)[0], gradients(floats)[0], error=1e-4)


def test_a_quantised_layer_that_scales_its_input_first():
    """As ModelOpt's AWQ checkpoints do; the host adds a LoRA to the weight, behind the scaling."""
    model, floats = quantised_by_the_host("int8_tensorwise")
    generator = torch.Generator().manual_seed(0)
    for layer, plain in zip(model.model.modules(), floats.model.modules()):
        if hasattr(getattr(layer, "weight", None), "_qdata"):
            scale = 0.9 + 0.3 * torch.rand(layer.in_features, generator=generator)
            layer.register_parameter("pre_quant_scale", torch.nn.Parameter(scale, requires_grad=False))
            plain.register_forward_pre_hook(lambda _, inputs, scale=scale: (inputs[0] * scale,))
    assert_same(gradients(model)[0], gradients(floats)[0], error=1e-4)


def test_a_dora_is_baked_by_the_weight_that_a_quantised_layer_stands_for(tmp_path):
    model, floats = quantised_by_the_host("nvfp4")
    stem = "lora_unet_input_blocks_4_1_transformer_blocks_0_ff_net_2"
    parts = {"lora_up.weight": (64, 4), "lora_down.weight": (4, 256), "dora_scale": (64, 1)}
    save_file({f"{stem}.{name}": torch.rand(shape) for name, shape in parts.items()}, tmp_path / "dora.safetensors")
    source = LoraSource(tmp_path / "dora.safetensors").loaded()
    found, expected = (differences(each, None)(source, stem, 0.5) for each in (model, floats))
    assert (found - expected).norm() < 1e-5 * expected.norm()


def test_dynamic_weights_of_newer_hosts():
    names = comfy.ops.cast_bias_weight.__code__
    if "_v" not in names.co_consts or "is_device_cpu" not in names.co_names:
        pytest.skip("This host has no dynamic weights, or none on a CPU.")
    model, expected = oracle.sdxl(), gradients()[0]
    for module in model.model.diffusion_model.modules():
        if isinstance(module, (torch.nn.Linear, torch.nn.Conv2d)):
            module.comfy_cast_weights, module._v = True, SimpleNamespace()
    assert_same(gradients(model)[0], expected, error=1e-5)

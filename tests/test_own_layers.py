"""Layers that compute with their weights in a way of their own: quantised by other packs or by newer hosts."""

from __future__ import annotations

import json
from types import SimpleNamespace

import comfy.ops
import pytest
import torch

from appl_search.host.errors import ModelError
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


def test_a_layer_that_computes_otherwise_is_named():
    with pytest.raises(ModelError, match="test_own_layers.UnknownLinear, which computes with its weights in a way"):
        gradients(quantised(oracle.sdxl(), UnknownLinear))


@pytest.mark.parametrize("form", ["float8_e4m3fn", "int8_tensorwise"])
def test_the_hosts_own_quantised_layers(form):
    quantised_tensors = pytest.importorskip("comfy.quant_ops", reason="This host has no quantised layers.")
    if form not in quantised_tensors.QUANT_ALGOS:
        pytest.skip(f"This host has no {form}.")
    stored = quantised_tensors.QUANT_ALGOS[form]["storage_t"]
    state, floats = {}, oracle.sdxl()
    for key, weight in floats.model.diffusion_model.state_dict().items():
        if ".attn" in key and key.endswith(".weight") and weight.ndim == 2:
            scale = weight.abs().amax() / (448 if stored == torch.float8_e4m3fn else 127)
            small = weight / scale if stored == torch.float8_e4m3fn else (weight / scale).round()
            state[key] = small.to(stored)
            state[key.replace(".weight", ".weight_scale")] = scale
            conf = {"format": form, "full_precision_matrix_mult": True}
            state[key.replace(".weight", ".comfy_quant")] = torch.tensor(list(json.dumps(conf).encode()), dtype=torch.uint8)
            weight.copy_(state[key].float() * scale)
        else:
            state[key] = weight
    model = oracle.sdxl(manual_cast_dtype=torch.float32, quant_config={"mixed": True}, state_dict=state)
    assert any(hasattr(weight, "_qdata") for weight in model.model.parameters())
    assert_same(gradients(model)[0], gradients(floats)[0], error=1e-4)


def test_dynamic_weights_of_newer_hosts():
    names = comfy.ops.cast_bias_weight.__code__
    if "_v" not in names.co_consts or "is_device_cpu" not in names.co_names:
        pytest.skip("This host has no dynamic weights, or none on a CPU.")
    model, expected = oracle.sdxl(), gradients()[0]
    for module in model.model.diffusion_model.modules():
        if isinstance(module, (torch.nn.Linear, torch.nn.Conv2d)):
            module.comfy_cast_weights, module._v = True, SimpleNamespace()
    assert_same(gradients(model)[0], expected, error=1e-5)

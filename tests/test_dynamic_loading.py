"""Newer hosts bring weights to the device for each layer and may drop them at any time: the host's own code of that, on a stand-in device.

What only a GPU has are its memory and streams: the memory is a stand-in here, and there are no streams.
"""

from __future__ import annotations

import comfy.model_management
import comfy.model_patcher
import comfy.ops
import pytest
import torch

from appl_search.host.denoiser import Denoiser
from tests import oracle
from tests.patches import style_lora
from tests.stand_in_device import CPU, DEVICE, StandInDevice, tag
from tests.test_memory import assert_same, gradients

aimdo = pytest.importorskip("comfy_aimdo.model_vbar", reason="This host has no dynamic loading.")
host_buffer, aimdo_torch = pytest.importorskip("comfy_aimdo.host_buffer"), pytest.importorskip("comfy_aimdo.torch")
if not hasattr(comfy.model_patcher, "ModelPatcherDynamic") or not hasattr(comfy.ops, "cast_modules_with_vbar"):
    pytest.skip("This host has no dynamic loading, or an early one.", allow_module_level=True)


class Memory:
    """A device's memory for weights: pieces that are given out once, and may hold other numbers when they are asked for again.

    ``keeps``: whether a piece that was filled is still there: "all", "none" (each time there is room, and what was there is
    gone) or "no room" (there never is any).
    """

    keeps = "all"

    def __init__(self, size, device):
        self.pieces, self.counts = [], []

    def prioritize(self):
        pass

    def alloc(self, size):
        self.pieces.append(torch.full((size,), 127, dtype=torch.uint8))
        self.counts.append(0)
        return (self, len(self.pieces) - 1, size)

    def fault(self, number):
        if self.keeps == "no room":
            return None
        if self.keeps == "none":
            self.counts[number] += 1
            self.pieces[number].fill_(127)
        return self.counts[number].to_bytes(8, "little")

    def loaded_size(self):
        return 0

    def free_memory(self, size):
        return 0


class HostBuffer:
    def __init__(self, *sizes):
        self.size = 0


@pytest.fixture
def dynamic(monkeypatch):
    """dynamic(model, keeps): the same MODEL, with its patches, by the host's patcher for dynamic loading."""
    monkeypatch.setattr(aimdo, "ModelVBAR", Memory)
    monkeypatch.setattr(aimdo, "vbar_fault", lambda given: given[0].fault(given[1]))
    monkeypatch.setattr(aimdo, "vbar_unpin", lambda given: None)
    monkeypatch.setattr(aimdo_torch, "aimdo_to_tensor", lambda given, device: tag(given[0].pieces[given[1]].view(-1), DEVICE))
    monkeypatch.setattr(host_buffer, "HostBuffer", HostBuffer)
    monkeypatch.setattr(comfy.model_management.args, "disable_pinned_memory", True)

    def made(model, keeps):
        monkeypatch.setattr(Memory, "keeps", keeps)
        for weight in (*model.model.parameters(), *model.model.buffers()):
            tag(weight, CPU)
        patcher = comfy.model_patcher.ModelPatcherDynamic(model.model, DEVICE, CPU)
        patcher.patches, patcher.patches_uuid = model.patches, model.patches_uuid
        assert patcher.is_dynamic()
        return patcher

    return made


def sample_once(model):
    """As a sampler runs: in inference mode, where the weights that it leaves on the device are of that mode, too."""
    with torch.inference_mode():
        comfy.model_management.load_models_gpu([model])
        x, sigma = torch.ones(1, 4, 16, 16, device=DEVICE), torch.ones(1, device=DEVICE)
        context, pooled = oracle.conditioning()[0]
        y = torch.zeros(1, oracle.UNET_CONFIG["adm_in_channels"], device=DEVICE)
        return model.model.apply_model(x, sigma, c_crossattn=context.to(DEVICE), y=y)


@pytest.mark.parametrize("keeps", ["all", "none", "no room"])
def test_weights_that_come_and_go_with_a_lora_of_the_stock_loader(keeps, dynamic):
    expected = gradients(style_lora(oracle.sdxl()), probes=4)[0]
    model = dynamic(style_lora(oracle.sdxl()), keeps)
    before = {key: weight.clone() for key, weight in model.model.state_dict().items()}
    with StandInDevice():
        found, _ = gradients(model, probes=4)
        again, _ = gradients(model, probes=4)
        model.detach()
    assert_same(found, expected, error=5e-3)  # the host patches small weights in half precision on a device
    assert_same(again, found, error=1e-7)
    assert all(torch.equal(weight, before[key]) for key, weight in model.model.state_dict().items())
    assert not any("forward" in vars(module) for module in model.model.modules())


def test_weights_that_sampling_has_left_on_the_device(dynamic):
    def make():
        return oracle.sdxl(torch.float16, manual_cast_dtype=torch.float32)

    expected = gradients(make())[0]
    model = dynamic(make(), "all")
    with StandInDevice():
        sample_once(model)
        found, _ = gradients(model)
    assert_same(found, expected)


def test_no_more_memory_is_taken_to_be_needed_than_without(dynamic):
    assert Denoiser(dynamic(oracle.sdxl(), "all")).inference_memory((1, 4, 64, 64)) == Denoiser(oracle.sdxl()).inference_memory((1, 4, 64, 64))

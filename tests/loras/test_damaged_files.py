"""Damaged files of every adapter kind, made by rule: each is refused in words, or gives what ComfyUI itself makes of it."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import comfy.lora
import comfy.model_base
import pytest
import torch
from safetensors.torch import save
from torch import Tensor

from appl_search import LoraError, LoraSource
from appl_search.architectures.sdxl import SDXL
from appl_search.gradients.deltas import LayerDeltas, Strengths
from appl_search.gradients.layers import layer_deltas
from appl_search.host.lora_loading import load
from appl_search.loras.files import parse_lora
from tests import adapters, oracle

PATH = Path("damaged.safetensors")
NAN, INF = float("nan"), float("inf")
STEM = f"lora_unet_{adapters.LINEAR}"


class Few(comfy.model_base.SDXL):
    """SDXL without its layers."""

    def __init__(self):
        torch.nn.Module.__init__(self)


@pytest.fixture(scope="module")
def model():
    """The oracle's SDXL with the layers of the adapters alone: a file is read in a millisecond."""
    whole = oracle.sdxl().model
    few = Few()
    few.model_config = SimpleNamespace(unet_config={})
    for layer, module in whole.named_modules():
        if layer.removeprefix("diffusion_model.").replace(".", "_") in adapters.SHAPES:
            parent = few
            *folders, last = layer.split(".")
            for name in folders:
                if not hasattr(parent, name):
                    parent.add_module(name, torch.nn.Module())
                parent = getattr(parent, name)
            parent.add_module(last, module)
    return SimpleNamespace(model=few, patches={})


def damaged_parts(part: Tensor) -> Iterator[Tensor | None]:
    """One tensor of a file, damaged in every way; None: it is missing."""
    yield None
    if part.ndim:
        more = torch.cat([part, part[:1]])
        yield from (more, torch.cat([part, part[..., :1]], -1), part[:0], part.flatten(), part.mT if part.ndim > 1 else part[None])
        yield from (part[:1], part[..., :1])
    yield from (part.mean(), part[(None,) * (5 - part.ndim)], part[(...,) + (None,) * (5 - part.ndim)], part[None])
    yield from (part.float(), part.bfloat16(), part.to(torch.float8_e4m3fn), part.double(), part.long(), part > 0)
    for value in (NAN, INF, -INF):
        bad = part.clone()
        bad.view(-1)[0] = value
        yield bad
    yield from (torch.zeros_like(part), part.double() * 1e300)


#: More keys of one layer, for a file that has others already.
ADDED = (
    {"alpha": torch.tensor(NAN)}, {"alpha": torch.tensor([1.0, 2.0])}, {"alpha": torch.tensor([3.0])}, {"alpha": torch.tensor(-2)},
    {"alpha": torch.tensor(0.0)}, {"alpha": torch.tensor(True)}, {"alpha": torch.tensor(INF)}, {"alpha": torch.zeros(0)},
    {"dora_scale": torch.ones(128)}, {"dora_scale": torch.ones(64)}, {"dora_scale": torch.ones(1, 64)}, {"dora_scale": torch.ones(1, 64, 1, 1)},
    {"dora_scale": torch.ones(128, 1)}, {"dora_scale": torch.ones(3, 3)}, {"dora_scale": torch.tensor(1.0)}, {"dora_scale": torch.full((128, 1), NAN)},
    {"reshape_weight": torch.tensor([128, 64])}, {"reshape_weight": torch.tensor([256, 64])}, {"reshape_weight": torch.tensor([1.5])},
    {"reshape_weight": torch.tensor([64, 32, 3, 3])}, {"reshape_weight": torch.tensor(7)}, {"reshape_weight": torch.tensor([-1, 64])},
    {"lora_mid.weight": torch.ones(4, 4, 3, 3)}, {"lora_mid.weight": torch.ones(4)}, {"hada_t1": torch.ones(3, 3, 3, 3)},
    {"lokr_t2": torch.ones(2, 2, 3, 3)}, {"rescale": torch.ones(128, 1)}, {"lora_magnitude_vector": torch.ones(128)},
    {"lora_A.weight": torch.ones(4, 64)}, {"lora_up.weight": torch.ones(128, 4)}, {"lora_down.weight": torch.ones(4, 64)},
    {"w_norm": torch.ones(3)}, {"b_norm": torch.ones(3)}, {"diff_b": torch.ones(128)}, {"set_weight": torch.ones(2)}, {"oft_blocks": torch.ones(2, 2)},
)  # fmt: skip


def damaged_files() -> Iterator[tuple[str, dict[str, Tensor]]]:
    for kind, layer in adapters.CASES:
        whole = adapters.tensors(kind, layer)
        for key, part in whole.items():
            for number, bad in enumerate(damaged_parts(part)):
                rest = {other: tensor for other, tensor in whole.items() if other != key}
                yield f"{kind} {key} {number}", rest if bad is None else {**rest, key: bad.contiguous()}
        for number, added in enumerate(ADDED):
            yield f"{kind} added {number}", whole | {f"lora_unet_{layer}.{key}": part for key, part in added.items()}


def at_070(model, lora) -> dict[str, Tensor]:
    """The layers' weights with the LoRA at 0.7, as the search computes them."""
    weights = model.model.state_dict()
    at = Strengths((0.7,), torch.tensor([0.7]))
    found = {}
    for name, deltas in layer_deltas(model.model, [lora], SDXL).items():
        if isinstance(deltas, LayerDeltas) and f"{name}.weight" in lora.patches:
            found[f"{name}.weight"] = deltas.weight(weights[f"{name}.weight"], at)
    return found


def of_comfyui(model, key_map, tensors) -> dict[str, Tensor]:
    """The same by ComfyUI's own loader and arithmetic."""
    weights = model.model.state_dict()
    patches = comfy.lora.load_lora(tensors, key_map)
    entry = {key: [(0.7, patch, 1.0, None, None)] for key, patch in patches.items()}
    return {key: comfy.lora.calculate_weight(one, weights[key].clone(), key) for key, one in entry.items() if key in weights}


def test_files_damaged_by_rule(model, caplog):
    caplog.set_level(logging.CRITICAL)
    key_map = comfy.lora.model_lora_keys_unet(model.model, {})
    before = {key: weight.clone() for key, weight in model.model.state_dict().items()}
    refused = right = 0
    for what, tensors in damaged_files():
        try:
            source = LoraSource(PATH, contents=parse_lora(PATH, save(tensors)))
            found = at_070(model, load(source, model, None))
        except LoraError as error:
            refused += 1
            assert len(str(error)) < 400 and str(PATH) in str(error), what
            continue
        right += 1
        expected = of_comfyui(model, key_map, tensors)
        for key, weight in found.items():
            torch.testing.assert_close(weight, expected[key], rtol=1e-4, atol=1e-4, msg=what)
    assert refused > 500 and right > 200
    assert not model.patches and all(torch.equal(weight, before[key]) for key, weight in model.model.state_dict().items())


def header(**entries) -> bytes:
    text = json.dumps(entries).encode()
    return len(text).to_bytes(8, "little") + text


def one(**changes) -> dict:
    return {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]} | changes


@pytest.mark.parametrize(
    "data",
    [
        b"", b"\x00" * 7, b"\xff" * 64, b"PK\x03\x04" + bytes(200), (2**40).to_bytes(8, "little") + b"{}", header()[:-1], header(a=one()),
        header(a=one(shape=[2, 3])) + bytes(16), header(a=one(dtype="F7")) + bytes(16), header(a=one(data_offsets=[16, 0])) + bytes(16),
        header(a=one(data_offsets=[8, 24])) + bytes(24), header(a=one(shape=[-2, -2])) + bytes(16), header(a=one(), b=one()) + bytes(16),
        header(a=one(shape=[2**62, 4])) + bytes(16), header(a=one(), __metadata__={"x": 3}) + bytes(16), header(a=[1]) + bytes(16),
        save(adapters.tensors("lora", adapters.LINEAR))[:-1], header(**{"x" * 100_000: one(dtype="F7")}) + bytes(16),
    ],
)  # fmt: skip
def test_headers_that_lie(data):
    with pytest.raises(LoraError, match="damaged.safetensors cannot be read as safetensors") as error:
        parse_lora(PATH, data)
    assert len(str(error.value)) < 500


def test_a_hundred_thousand_foreign_keys_are_counted_and_not_listed(model):
    keys = [f"deep.{i}.lora_{part}.weight" for i in range(50_000) for part in ("up", "down")]
    entries = {key: one(shape=[1, 1], data_offsets=[4 * i, 4 * i + 4]) for i, key in enumerate(keys)}
    with pytest.raises(LoraError, match="none of its 100000 keys") as error:
        load(LoraSource(PATH, contents=parse_lora(PATH, header(**entries) + bytes(4 * len(keys)))), model, None)
    assert len(str(error.value)) < 600


def test_keys_of_which_nothing_is_loaded_are_counted_and_noted(model):
    foreign = {f"{'deep.' * 20}{i}.lora_{part}.weight": torch.ones(1, 1) for i in range(500) for part in ("up", "down")}
    tensors = foreign | adapters.tensors("lora", adapters.LINEAR)
    lora = load(LoraSource(PATH, contents=parse_lora(PATH, save(tensors))), model, None)
    assert len(lora.patches) == 1 and "nothing from 1000 of its 1003 keys" in lora.notes[0] and len(lora.notes[0]) < 400


@pytest.mark.parametrize(
    "key, part, message",
    [
        ("lora_down.weight", None, f"{STEM} has lora_up.weight without lora_down.weight"),
        ("lora_up.weight", None, f"{STEM} has lora_down.weight without lora_up.weight"),
        ("lora_up.weight", torch.ones(128, 0), rf"{STEM}.lora_up.weight is empty \(shape \(128, 0\)\)"),
        ("lora_up.weight", torch.full((128, 4), NAN), f"{STEM}.lora_up.weight has NaN or infinite numbers"),
        ("alpha", torch.tensor(INF), f"{STEM}.alpha has NaN or infinite numbers"),
        ("lora_up.weight", torch.ones(128, 5), r"do not fit each other: lora_up.weight \(128, 5\), lora_down.weight \(4, 64\)"),
    ],
)
def test_a_refusal_names_the_file_the_key_and_what_is_wrong(key, part, message):
    tensors = adapters.tensors("lora", adapters.LINEAR) | {f"{STEM}.{key}": part}
    with pytest.raises(LoraError, match=f"LoRA file damaged.safetensors: .*{message}"):
        parse_lora(PATH, save({name: tensor for name, tensor in tensors.items() if tensor is not None}))


@pytest.mark.parametrize("key", ["lora_mid.weight", "lora_magnitude_vector", "hada_t1", "rescale"])
def test_a_part_without_its_partner_is_refused(key):
    tensors = adapters.tensors("lora", adapters.LINEAR) | {f"lora_unet_{adapters.CONV}.{key}": torch.ones(4, 4, 3, 3)}
    with pytest.raises(LoraError, match=f"damaged.safetensors: lora_unet_{adapters.CONV} has"):
        parse_lora(PATH, save(tensors))

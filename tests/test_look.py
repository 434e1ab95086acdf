"""A look at a LoRA: norms against the full differences of ComfyUI's own loader, and what is said of them."""

from __future__ import annotations

import math
from dataclasses import replace

import comfy.lora
import comfy.model_management
import pytest
import torch
from safetensors.torch import load_file, save_file

from appl_search import LoraSource, demo
from appl_search.cli.main import main
from appl_search.host.look import look_at
from appl_search.loras.look import look_at_file
from appl_search.report.look import NO_SEARCH, look_table, look_words
from tests import adapters, oracle
from tests.nodes.patched import patched_weights, stock

MADE_FROM_THE_WEIGHT = ("dora", "glora", "oft", "boft")


@pytest.fixture(scope="module")
def model():
    return oracle.sdxl()


def lora_file(folder, tensors) -> LoraSource:
    save_file(tensors, folder / "one.safetensors")
    return LoraSource(folder / "one.safetensors")


def differences(model, source) -> dict[str, torch.Tensor]:
    """What ComfyUI's own loader adds at strength 1, in fp64, by the model's keys."""
    plain = model.model.state_dict()
    return {key: weight.double() - plain[key].double() for key, weight in patched_weights(stock(model, source.path, 1.0)).items()}


def together(tensors) -> float:
    return math.sqrt(sum(float(tensor.double().square().sum()) for tensor in tensors))


def of_block(look, name):
    return look.blocks[look.layout.architecture.block_index(name)]


@pytest.mark.parametrize("kind, layer", adapters.CASES)
def test_norms_are_those_of_the_full_difference(kind, layer, model, tmp_path):
    source = lora_file(tmp_path, adapters.tensors(kind, layer))
    expected = differences(model, source)
    found = of_block(look_at(source, model), adapters.BLOCKS[layer])
    assert found.keys == len(expected) > 0
    assert found.added == pytest.approx(together(expected.values()), rel=1e-5)
    weights = together(model.model.state_dict()[key] for key in expected)
    assert found.weights == pytest.approx(weights, rel=1e-6)
    assert found.relative == pytest.approx(found.added / weights, rel=1e-6)


@pytest.mark.parametrize("kind, layer", [case for case in adapters.CASES if case != ("diff", adapters.LINEAR)])  # it has no bias
def test_without_a_model_norms_are_the_same_where_the_file_alone_says_them(kind, layer, model, tmp_path):
    source = lora_file(tmp_path, adapters.tensors(kind, layer))
    alone, beside = (of_block(look, adapters.BLOCKS[layer]) for look in (look_at_file(source), look_at(source, model)))
    assert alone == replace(beside, weights=None, added=None if kind in MADE_FROM_THE_WEIGHT else beside.added)


@pytest.mark.parametrize(
    "kind, name, ranks",
    [("lora", "lora", (4,)), ("dora", "lora+dora", (4,)), ("loha", "loha", (3,)), ("lokr", "lokr", (2,)), ("full lokr", "lokr", ()), ("glora", "glora", (2,)), ("diff", "diff", ())],
)
def test_kinds_and_ranks(kind, name, ranks, tmp_path):
    found = of_block(look_at_file(lora_file(tmp_path, adapters.tensors(kind, adapters.LINEAR))), "OUT00")
    assert (found.kinds, found.ranks) == ((name,), ranks)


def test_loha_of_a_high_rank_is_had_from_its_elements(model, tmp_path):
    out, columns = adapters.SHAPES[adapters.LINEAR]
    torch.manual_seed(0)
    shapes = {"alpha": (), "hada_w1_a": (out, 16), "hada_w1_b": (16, columns), "hada_w2_a": (out, 16), "hada_w2_b": (16, columns)}
    source = lora_file(tmp_path, {f"lora_unet_{adapters.LINEAR}.{name}": torch.randn(shape) for name, shape in shapes.items()})
    found = of_block(look_at(source, model), "OUT00")
    assert found.added == pytest.approx(together(differences(model, source).values()), rel=1e-5)


def test_factors_that_cancel_each_other_leave_what_is_left(tmp_path):
    """up has two columns that differ by 4e-6 of their lengths: in fp32 the Gram matrices would give nothing but rounding."""
    torch.manual_seed(0)
    column, row = torch.randn(128, 1, dtype=torch.float64), torch.randn(1, 64, dtype=torch.float64)
    up = torch.cat([column * (1 + 2.0**-18), -column], 1).float()
    stem = f"lora_unet_{adapters.LINEAR}"
    source = lora_file(tmp_path, {f"{stem}.lora_up.weight": up, f"{stem}.lora_down.weight": torch.cat([row, row]).float()})
    exact = together([(up[:, :1].double() + up[:, 1:].double()) @ row.float().double()])
    assert of_block(look_at_file(source), "OUT00").added == pytest.approx(exact, rel=1e-3)


@pytest.mark.parametrize("path", [oracle.LORA_A, oracle.LORA_B], ids=["a", "b"])
def test_blocks_of_a_whole_lora(path, model):
    source = LoraSource(path)
    look, expected = look_at(source, model), differences(model, source)
    for block, found in enumerate(look.blocks):
        keys = [key for key in expected if look.layout.architecture.block_of_key(key) == block]
        assert found.keys == len(keys)
        assert found.added == (pytest.approx(together(expected[key] for key in keys), rel=1e-4) if keys else None)


def test_text_encoders_count_with_a_clip():
    model, clip, _ = demo.load_tiny_sdxl()
    source = LoraSource(demo.lora_paths()["character"])
    bare, whole = look_at(source, model), look_at(source, model, clip)
    assert bare.blocks[0].weights is None and bare.blocks[0].added == pytest.approx(whole.blocks[0].added)
    assert bare.blocks[1:] == whole.blocks[1:]
    loaded = comfy.lora.load_lora(load_file(source.path), comfy.lora.model_lora_keys_clip(clip.cond_stage_model, {}))
    plain = clip.cond_stage_model.state_dict()
    zeros = {key: comfy.lora.calculate_weight([(1.0, patch, 1.0, None, None)], torch.zeros_like(plain[key]), key) for key, patch in loaded.items()}
    assert whole.blocks[0].added == pytest.approx(together(zeros.values()), rel=1e-5)
    assert whole.blocks[0].relative == pytest.approx(whole.blocks[0].added / together(plain[key] for key in loaded), rel=1e-5)


def test_other_loras_in_the_loaded_weights_change_nothing_and_stay(tmp_path):
    model = oracle.sdxl()
    source = lora_file(tmp_path, adapters.tensors("dora", adapters.LINEAR))
    expected = look_at(source, model)
    patched = stock(model, oracle.LORA_B, 0.7)
    comfy.model_management.load_models_gpu([patched])
    loaded = {key: weight.clone() for key, weight in model.model.state_dict().items()}
    assert look_at(source, patched).blocks == expected.blocks
    assert look_at(source, oracle.sdxl()).blocks == expected.blocks
    assert all(torch.equal(weight, loaded[key]) for key, weight in model.model.state_dict().items())
    comfy.model_management.unload_all_models()


def test_the_table_has_a_line_for_each_block(model):
    look = look_at(LoraSource(oracle.LORA_A), model)
    head, *lines = look_table(look)
    assert head.split() == ["block", "keys", "kind", "rank", "norm", "added", "of", "its", "weights"]
    assert [line.split()[0] for line in lines] == list(look.layout.architecture.blocks)
    assert [line.split()[1:] == ["-"] for line in lines] == [not there for there in look.layout.present]
    there = look.layout.present.index(True)
    assert lines[there].split()[-1] == f"{look.blocks[there].relative:.2%}"


def test_words_name_the_blocks_that_change_most_and_say_that_this_is_no_search(model):
    look = look_at(LoraSource(oracle.LORA_A), model)
    most = max(range(len(look.blocks)), key=lambda block: look.blocks[block].relative or 0)
    words = look_words(look)
    assert words.startswith(f"The weights of {look.layout.architecture.blocks[most]}")
    assert words.endswith(NO_SEARCH)


def test_words_say_what_only_a_model_tells(tmp_path):
    words = look_words(look_at_file(lora_file(tmp_path, adapters.tensors("dora", adapters.LINEAR))))
    assert "OUT00 is made from the model's weights" in words and words.endswith(NO_SEARCH)


def test_from_a_shell_with_and_without_a_model(capsys):
    path = demo.lora_paths()["style"]
    assert main(["look", "--lora", str(path)]) == 0
    bare = capsys.readouterr().out
    assert main(["look", "--lora", str(path), "--model", "demo"]) == 0
    whole = capsys.readouterr().out
    assert bare.startswith("style  SHA-256") and "of its weights" not in bare and "of its weights" in whole
    assert NO_SEARCH in bare and NO_SEARCH in whole

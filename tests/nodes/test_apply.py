"""Applied block weights are the stock loader's patches, times the rates."""

from __future__ import annotations

import shutil

import pytest

from appl_search import BlockWeights, LoraError, LoraSource
from appl_search.architectures.sdxl import SDXL
from tests import oracle
from tests.nodes.patched import assert_same_weights, stock
from tests.nodes.results import result_for

RATES = {"IN04": 0.25, "IN07": 0.0, "MID": -0.5, "OUT02": 1.5}
ONES = ",".join(["1"] * 20)
ZEROS = ",".join(["0"] * 20)


def apply(node, model, lora="a.safetensors", strength=1.0, **weights):
    out = node("ApplSearchApply").apply(model, lora, strength, strength, **weights)
    return out["result"][0], out["ui"]["warnings"]


@pytest.fixture
def result(folders):
    return result_for((folders / "loras" / "a.safetensors", RATES))


@pytest.mark.parametrize("lora", ["a.safetensors", "sub/b.safetensors"])
@pytest.mark.parametrize("strength", [1.0, 0.8, -0.3])
def test_all_ones_are_exactly_the_stock_loader(node, folders, model, lora, strength):
    patched, warnings = apply(node, model, lora, strength, text=ONES)
    assert_same_weights(patched, stock(model, folders / "loras" / lora, strength))
    assert not warnings and not model.patches


@pytest.mark.parametrize("text, strength", [(ZEROS, 1.0), (ONES, 0.0)])
def test_all_zeros_and_strength_zero_are_exactly_no_lora(node, folders, model, text, strength):
    assert not apply(node, model, strength=strength, text=text)[0].patches


def test_every_key_gets_the_rate_of_its_block(node, folders, model, result):
    patched, _ = apply(node, model, strength=0.5, block_weights=result)
    everything = stock(model, oracle.LORA_A, 0.5)
    assert patched.patches.keys() == {key for key in everything.patches if SDXL.blocks[SDXL.block_of_key(key)] != "IN07"}
    for key, entries in patched.patches.items():
        assert [entry[0] for entry in entries] == [0.5 * RATES.get(SDXL.blocks[SDXL.block_of_key(key)], 1.0)], key


def test_loras_already_there_stay(node, folders, model, result):
    before = stock(model, oracle.LORA_B, 0.7)
    patched, _ = apply(node, before, text=ONES)
    assert_same_weights(patched, stock(stock(model, oracle.LORA_B, 0.7), oracle.LORA_A, 1.0))


@pytest.mark.parametrize("format", ["plain", "inspire", "a1111-tag", "json"])
def test_a_text_in_any_format_is_the_same_as_the_connection(node, folders, model, result, format):
    text = result.block_weights[0].to_string(format)
    assert_same_weights(apply(node, model, text=text)[0], apply(node, model, block_weights=result)[0])


def test_a_renamed_file_is_known_by_its_content(node, folders, model, result):
    shutil.move(folders / "loras" / "a.safetensors", folders / "loras" / "other.safetensors")
    patched, warnings = apply(node, model, "other.safetensors", block_weights=result)
    assert patched.patches and not warnings


def test_another_file_of_the_same_name_is_a_clear_warning(node, folders, model, result, caplog):
    shutil.copy(oracle.LORA_B, folders / "loras" / "a.safetensors")
    patched, (warning,) = apply(node, model, block_weights=result)
    assert patched.patches
    assert "a.safetensors is not the one that these block weights were found for" in warning
    assert warning in caplog.text


def test_blocks_that_only_the_other_file_has_stay_off_and_are_named(node, folders, model):
    layout = result_for((oracle.LORA_A, {})).block_weights[0].layout
    had = next(group for group in layout.groups if group.startswith("output_blocks"))
    smaller = type(layout)("a", "0" * 64, {had: layout.groups[had]})
    result = result_for((oracle.LORA_A, {}))
    weights = BlockWeights(smaller, (1.0,) * 20)
    result = type(result)((weights,), *(getattr(result, name) for name in ("history", "settings", "samples", "seconds", "prediction")))
    patched, (warning,) = apply(node, model, block_weights=result)
    assert {SDXL.block_of_key(key) for key in patched.patches} == {SDXL.block_index("OUT" + had.split(".")[1].zfill(2))}
    assert "have no rate and stay off" in warning


@pytest.mark.parametrize(
    "both, message", [(True, "both in the text and from another node"), (False, "There are no block weights. Connect")]
)
def test_exactly_one_source_of_block_weights(node, folders, model, result, both, message):
    with pytest.raises(ValueError, match=message):
        apply(node, model, **({"block_weights": result, "text": ONES} if both else {"text": " \n"}))


def test_block_weights_of_another_lora_are_refused(node, folders, model, result):
    with pytest.raises(ValueError, match="These block weights are of a, not of .*b.safetensors"):
        apply(node, model, "sub/b.safetensors", block_weights=result)


def test_a_text_that_cannot_be_meant_is_refused(node, folders, model):
    with pytest.raises(ValueError, match="expected|Expected"):
        apply(node, model, text="1,2,3")


def test_the_format_of_a_text_can_be_named(node, folders, model):
    text = ",".join(["1", *["0.5"] * 11])
    with pytest.raises(ValueError, match="expected 20 values for format 'plain'"):
        apply(node, model, text=text, format="plain")
    named = apply(node, model, text=f"<lora:a:1:lbw={text}>")[0]
    assert_same_weights(apply(node, model, text=text, format="a1111")[0], named)


def test_a_file_that_is_no_lora_is_refused(node, folders, model):
    (folders / "loras" / "a.safetensors").write_bytes(b"no")
    with pytest.raises(LoraError, match="a.safetensors"):
        apply(node, model, text=ONES)


def test_lbw_model_holds_each_key_with_its_rate_and_the_muted_ones(node, folders, model, result):
    (lbw,) = node("ApplSearchToLBW").make(model, "a.safetensors", block_weights=result)["result"]
    everything = stock(model, oracle.LORA_A, 1.0).patches
    assert set(lbw) == {"blocks", "muted"}
    assert {*lbw["blocks"], *lbw["muted"]} == set(everything) and not {*lbw["blocks"]} & {*lbw["muted"]}
    assert {SDXL.blocks[SDXL.block_of_key(key)] for key in lbw["muted"]} == {"IN07"}
    applied = model.clone()
    for key, (patch, rate) in lbw["blocks"].items():
        applied.add_patches({key: patch}, rate)
    assert_same_weights(applied, apply(node, model, block_weights=result)[0])


def test_numbers_of_ones_own_by_block_name_are_possible_in_python(folders):
    weights = BlockWeights.for_lora(LoraSource(folders / "loras" / "a.safetensors"), RATES)
    assert weights["MID"] == -0.5

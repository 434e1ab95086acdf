"""Save LoRA with Block Weights: where files go, and what the stock loader makes of them."""

from __future__ import annotations

import pytest
from safetensors.torch import load_file

from appl_search import BlockWeights, LoraSource, SearchResult
from tests.nodes.patched import patched_weights, stock
from tests.nodes.results import result_for

RATES = {"IN07": 0.3, "MID": 0.0, "OUT01": -0.6}


@pytest.fixture
def result(folders) -> SearchResult:
    return result_for((folders / "loras" / "a.safetensors", RATES), (folders / "loras" / "sub" / "b.safetensors", {}))


def save(node, result, files="one file for each LoRA", rank=0, name="", folder="output/loras"):
    return node("ApplSearchBake").save(result, files, rank, name, folder)["result"][0].splitlines()


def test_one_file_for_each_lora_under_new_names_each_time(node, folders, result):
    first, second = save(node, result), save(node, result)
    assert [path.rpartition("/")[2] for path in first] == ["a_lbw_00001.safetensors", "b_lbw_00001.safetensors"]
    assert [path.rpartition("/")[2] for path in second] == ["a_lbw_00002.safetensors", "b_lbw_00002.safetensors"]
    assert all(path.startswith(str(folders / "output" / "loras")) for path in first + second)


def test_into_the_loras_folder_where_loaders_find_it(node, folders, result):
    path, _ = save(node, result, name="mine", folder="loras")
    assert path == str(folders / "loras" / "mine_00001.safetensors")


@pytest.mark.parametrize("files", ["one file for each LoRA", "all merged into one file"])
def test_the_stock_loader_gives_at_strength_one_what_apply_gives(node, folders, result, model, files):
    expected = model
    for name in ("a.safetensors", "sub/b.safetensors"):
        expected, _ = node("ApplSearchApply").apply(expected, name, 1.0, 1.0, block_weights=result)["result"]
    found = model
    for path in save(node, result, files):
        found = stock(found, path, 1.0)
    one, other, plain = patched_weights(found), patched_weights(expected), model.model.state_dict()
    assert one.keys() == other.keys()
    for key, weight in one.items():
        assert (weight - other[key]).norm() < 2e-3 * (other[key] - plain[key]).norm(), key


def test_muted_blocks_are_left_out(node, folders, result):
    path, _ = save(node, result)
    keys = load_file(path)
    assert keys and not [key for key in keys if "middle_block" in key]


def test_a_name_that_leads_out_of_the_folder_is_refused(node, folders, result):
    with pytest.raises(ValueError, match="leads out of"):
        save(node, result, name="../../elsewhere")


def test_weights_for_another_file_of_the_same_name_are_refused(node, folders, result):
    (folders / "loras" / "a.safetensors").write_bytes((folders / "loras" / "sub" / "b.safetensors").read_bytes())
    with pytest.raises(ValueError, match="a.safetensors|another file|SHA"):
        save(node, result)


def test_block_weights_of_python_are_the_same_file(node, folders, result):
    path, _ = save(node, result)
    from appl_search.weights.bake import bake

    source = LoraSource(folders / "loras" / "a.safetensors")
    expected = bake(source, BlockWeights.for_lora(source, RATES)).tensors
    assert {key: tensor.sum() for key, tensor in load_file(path).items()} == {key: t.sum() for key, t in expected.items()}

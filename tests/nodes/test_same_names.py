"""Two files of one name in one search are told apart: in results, tags, baked files, and where they are looked for again."""

from __future__ import annotations

import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from appl_search import LoraSource, SearchSettings, search
from appl_search.host.learnable import split_learnable
from appl_search.weights.bake import bake
from tests import oracle


@pytest.fixture
def both(node, folders, model):
    """one/x and two/x, searched together: (the result, the two files)."""
    files = []
    for folder, path in (("one", oracle.LORA_A), ("two", oracle.LORA_B)):
        (folders / "loras" / folder).mkdir()
        files.append(shutil.copy(path, folders / "loras" / folder / "x.safetensors"))
        model, _ = node("ApplSearchLoadLora").load(model, f"{folder}/x.safetensors", 0.5)
    plain, _, sources = split_learnable(model, None)
    result = search(plain, None, None, sources, oracle.training_set(), SearchSettings(method="adamw", samples=2, batch_size=2))
    return result, files


def test_two_files_of_one_name_keep_their_folders_everywhere(node, folders, model, both):
    result, files = both
    assert [weights.name for weights in result.block_weights] == ["one/x", "two/x"]
    assert "one/x" in result.block_weights[0].to_string("a1111-tag") and "two/x" in result.block_weights[1].to_string("a1111-tag")

    paths = node("ApplSearchBake").save(result, "one file for each LoRA", 0, "", "output/loras")["result"][0].splitlines()
    assert [path.rpartition("/")[2] for path in paths] == ["one_x_lbw_00001.safetensors", "two_x_lbw_00001.safetensors"]
    for path, file, weights in zip(paths, files, result.block_weights):
        assert {k: t.sum() for k, t in load_file(path).items()} == {k: t.sum() for k, t in bake(LoraSource(file), weights).tensors.items()}

    for folder, weights in zip(("one", "two"), result.block_weights):
        shown = node("ApplSearchApply").apply(model, f"{folder}/x.safetensors", 1.0, 1.0, block_weights=result)["ui"]
        assert shown["warnings"] == [] and [row[:2] for row in shown["table"]] == [list(item) for item in weights.items()]


def test_a_retrained_file_of_a_shared_name_still_gets_its_own_rates_with_a_warning(node, folders, model, both):
    result, files = both
    shutil.copy(oracle.LORA_A, files[1])  # two/x is another file now, and has the hash of one/x
    shown = node("ApplSearchApply").apply(model, "one/x.safetensors", 1.0, 1.0, block_weights=result)["ui"]
    assert shown["warnings"] == []
    files[0].write_bytes(files[0].read_bytes()[:-4] + bytes(4))
    shown = node("ApplSearchApply").apply(model, "one/x.safetensors", 1.0, 1.0, block_weights=result)["ui"]
    assert "only one of the same name" in shown["warnings"][0]
    assert [row[:2] for row in shown["table"]] == [list(item) for item in result.block_weights[0].items()]


def test_the_loader_shows_what_is_not_loaded_and_stays_silent_otherwise(node, folders, model):
    path = folders / "loras" / "a.safetensors"
    save_file(load_file(path) | {"odd.key": torch.ones(1)}, path)
    (warning,) = node("ApplSearchLoadLora").load(model, "a.safetensors", 0.5)["ui"]["warnings"]
    assert "ComfyUI loads nothing from 1 of its" in warning and "odd.key" in warning
    assert isinstance(node("ApplSearchLoadLora").load(model, "sub/b.safetensors", 0.5), tuple)

"""Saved results come back whole, and say when a LoRA is not the one they are for."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests import oracle
from tests.nodes.results import result_for


@pytest.fixture
def result(folders):
    return result_for((folders / "loras" / "a.safetensors", {"IN07": 0.25}))


def save(node, result, name="") -> Path:
    return Path(node("ApplSearchSaveResult").save(result, name)["result"][0])


def listed(node) -> list[str]:
    return node("ApplSearchLoadResult").INPUT_TYPES()["required"]["file"][0]


def test_what_is_saved_can_be_loaded(node, folders, result):
    path = save(node, result, "mine/first")
    assert path == folders / "output" / "block_weights" / "mine" / "first_00001.json"
    assert listed(node) == ["mine/first_00001.json"]
    out = node("ApplSearchLoadResult").load("mine/first_00001.json")
    loaded, summary = out["result"]
    assert loaded.to_json() == result.to_json()
    assert out["ui"] == {"text": [summary], "warnings": []}
    assert "IN07    0.250 ± 0.010" in summary


def test_nothing_is_overwritten(node, folders, result):
    assert [save(node, result).name for _ in range(3)] == ["a_00001.json", "a_00002.json", "a_00003.json"]
    assert len(listed(node)) == 3


@pytest.mark.parametrize("name", ["../outside", "/tmp/outside", ".", "x/.."])
def test_no_name_leads_out_of_the_folder(node, folders, result, name):
    with pytest.raises(ValueError, match="leads out of"):
        save(node, result, name)


def test_there_is_nothing_to_load_at_first(node, folders):
    assert listed(node) == []


def test_a_changed_file_is_loaded_again(node, folders, result):
    import os

    path = save(node, result)
    loader = node("ApplSearchLoadResult")
    before = loader.IS_CHANGED(path.name)
    os.utime(path, ns=(1, 1))
    assert loader.IS_CHANGED(path.name) != before


@pytest.mark.parametrize("content, message", [("{", "is not JSON"), ('{"schema": "other"}', "schema 'other'"), ("[]", "schema None")])
def test_a_file_of_another_kind_is_named(node, folders, content, message):
    path = folders / "output" / "block_weights" / "bad.json"
    path.parent.mkdir()
    path.write_text(content)
    with pytest.raises(ValueError, match=f"bad.json: .*{message}"):
        node("ApplSearchLoadResult").load("bad.json")


def test_a_file_that_is_gone_is_named(node, folders):
    with pytest.raises(ValueError, match="There is no saved result .*gone.json"):
        node("ApplSearchLoadResult").load("gone.json")


@pytest.mark.parametrize("file", ["../a.json", "/etc/passwd", "x/../../a.json"])
def test_no_file_outside_of_the_folder_is_loaded(node, folders, file):
    (folders / "output" / "a.json").write_text("{}")
    with pytest.raises(ValueError, match="is no .json file in"):
        node("ApplSearchLoadResult").load(file)


def warnings(node, path) -> list[str]:
    return node("ApplSearchLoadResult").load(path.name)["ui"]["warnings"]


def test_another_lora_of_the_same_name_is_a_clear_warning(node, folders, result):
    path = save(node, result)
    shutil.copy(oracle.LORA_B, folders / "loras" / "a.safetensors")
    (warning,) = warnings(node, path)
    assert "a.safetensors is not the one that these block weights were found for" in warning


def test_one_right_file_among_several_of_the_name_is_enough(node, folders, result):
    path = save(node, result)
    shutil.copy(oracle.LORA_B, folders / "loras" / "sub" / "a.safetensors")
    assert warnings(node, path) == []


def test_a_lora_that_the_user_does_not_have_is_said(node, folders, result):
    path = save(node, result)
    (folders / "loras" / "a.safetensors").unlink()
    assert warnings(node, path) == ["There is no LoRA named a in ComfyUI's loras folders."]

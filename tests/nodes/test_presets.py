"""Strings kept under names: in the user's folder, and in the Inspire Pack's own file."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.nodes.patched import assert_same_weights
from tests.nodes.results import result_for

VECTOR = "0,0.5,1,0.25,1,1,1,1,1,1,1,1"
USER, INSPIRE = "user folder", "Inspire Pack"


@pytest.fixture
def inspire(folders) -> Path:
    """The folder of presets of an Inspire Pack, installed under another name."""
    pack = folders / "custom_nodes" / "comfyui-inspire"
    (pack / "inspire").mkdir(parents=True)
    (pack / "inspire" / "lora_block_weight.py").touch()
    (pack / "resources").mkdir()
    (pack / "resources" / "lbw-preset.txt").write_text("SD-ALL:1,1,1\n@HIDDEN:1")
    return pack / "resources"


def save(node, string=VECTOR, name="mine", place=USER, replace=False):
    out = node("ApplSearchSavePreset").save(string, name, place, replace)
    return Path(out["result"][0]), out["ui"]["warnings"]


def listed(node) -> list[str]:
    return node("ApplSearchLoadPreset").INPUT_TYPES()["required"]["preset"][0]


def load(node, name):
    out = node("ApplSearchLoadPreset").load(name)
    return out["result"][0], out["ui"]["warnings"]


def test_what_is_saved_is_listed_and_loaded(node, folders):
    assert listed(node) == []
    path, warnings = save(node)
    assert path == folders / "user" / "appl_search" / "lbw-preset.custom.txt" and not warnings
    assert listed(node) == ["mine"] and load(node, "mine") == (VECTOR, [])


def test_the_string_of_a_result_comes_back_as_the_same_block_weights(node, folders, model):
    result = result_for((folders / "loras" / "a.safetensors", {"IN04": 0.25, "OUT02": -0.5}))
    string, _ = node("ApplSearchToString").write(result, 1, "inspire-preset", 3)["result"]
    save(node, string, name="")
    assert listed(node) == ["a"]
    text, _ = load(node, "a")
    loaded, expected = (
        node("ApplSearchApply").apply(model, "a.safetensors", 1.0, 1.0, **given)["result"][0]
        for given in ({"text": text, "format": "inspire"}, {"block_weights": result})
    )
    assert_same_weights(loaded, expected)


def test_the_inspire_packs_own_file_is_written_and_its_presets_are_listed_after_ones_own(node, folders, inspire):
    path, _ = save(node, place=INSPIRE)
    assert path == inspire / "lbw-preset.custom.txt" and path.read_bytes() == f"mine:{VECTOR}\n".encode()
    save(node, "1,2,3", name="own")
    assert listed(node) == ["own", "mine", "SD-ALL"]
    assert load(node, "SD-ALL") == ("1,1,1", [])


def test_of_two_presets_of_one_name_ones_own_counts_and_the_other_is_told(node, folders, inspire):
    save(node, "1,2,3", name="SD-ALL")
    string, (warning,) = load(node, "SD-ALL")
    assert string == "1,2,3" and warning == f"{inspire / 'lbw-preset.txt'} has a preset of this name with other numbers."


def test_without_the_inspire_pack_its_place_is_refused(node, folders):
    with pytest.raises(ValueError, match="The Inspire Pack is not installed in ComfyUI's custom_nodes. Choose 'user folder'"):
        save(node, place=INSPIRE)


def test_names_that_inspire_cannot_read_everywhere_go_to_the_user_folder_only(node, folders, inspire):
    """It opens its file in the encoding of the system, and one wrong letter there would stop all of its nodes."""
    with pytest.raises(ValueError, match="has letters that the Inspire Pack cannot read on every system"):
        save(node, name="\u753b\u98a8", place=INSPIRE)
    save(node, name="\u753b\u98a8")
    assert load(node, "\u753b\u98a8")[0] == VECTOR


def test_damaged_lines_are_told_when_loading_and_saving(node, folders):
    path, _ = save(node)
    path.write_bytes(b"broken\n" + path.read_bytes())
    expected = [f"{path}, line 1 is left out: 'broken' is not a name, one ':' and numbers."]
    assert load(node, "mine") == (VECTOR, expected)
    assert save(node, "1,2", name="other") == (path, expected)
    assert path.read_bytes().startswith(b"broken\n")


def test_a_preset_without_a_name_is_refused(node, folders):
    with pytest.raises(ValueError, match="The preset has no name."):
        save(node, name=" ")


def test_a_preset_that_is_gone_is_named(node, folders):
    with pytest.raises(ValueError, match="There is no preset 'gone' any more. Refresh the page"):
        load(node, "gone")


def test_a_changed_preset_is_loaded_anew(node, folders):
    loader = node("ApplSearchLoadPreset")
    save(node)
    before = loader.IS_CHANGED("mine")
    save(node, name="another")
    assert loader.IS_CHANGED("mine") == before
    save(node, "1,2", replace=True)
    assert loader.IS_CHANGED("mine") != before


def test_a_file_that_cannot_be_read_hides_no_nodes(node, folders, caplog, monkeypatch):
    path, _ = save(node)
    monkeypatch.setattr(Path, "read_bytes", lambda self: (_ for _ in ()).throw(PermissionError("not yours")))
    assert listed(node) == [] and "not yours" in caplog.text

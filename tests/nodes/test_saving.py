"""Saving: whole or not at all, never over another file, and never at the cost of a search that is done."""

from __future__ import annotations

import errno
import json
import multiprocessing
import os
import stat
import sys
import threading
from pathlib import Path

import pytest

from appl_search import SearchSettings
from tests import oracle, pack
from tests.nodes.cancelling import cancelled_at_the_eighth_question
from tests.nodes.results import result_for

PACK = pack.load_pack()
files = sys.modules[f"{pack.NAME}.nodes.support.files"]
search_node = sys.modules[f"{pack.NAME}.nodes.search"]


def put(text: str):
    return lambda path: path.write_text(text, encoding="utf-8")


def full_disk(path: Path) -> None:
    path.write_text("half of i", encoding="utf-8")
    raise OSError(errno.ENOSPC, "No space left on device")


def left_in(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_a_file_that_cannot_be_written_whole_is_not_there(tmp_path):
    with pytest.raises(OSError, match="No space left"):
        files.write_new(tmp_path, "a", ".json", full_disk)
    (tmp_path / "kept.png").write_text("before")
    with pytest.raises(OSError, match="No space left"):
        files.write_whole(tmp_path / "kept.png", full_disk)
    assert left_in(tmp_path) == ["kept.png"] and (tmp_path / "kept.png").read_text() == "before"


def test_a_file_gets_the_mode_that_others_of_the_folder_have(tmp_path):
    def for_the_owner_alone(path: Path) -> None:
        path.unlink()
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))

    (tmp_path / "other").touch()
    path = files.write_new(tmp_path, "a", ".safetensors", for_the_owner_alone)
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE((tmp_path / "other").stat().st_mode)


def _save_many(folder: Path, word: str) -> None:
    for number in range(25):
        files.write_new(folder, "same", ".json", put(f"{word} {number}"))


def test_who_saves_at_once_loses_nothing(tmp_path):
    """Threads and processes go the same way: a name is taken by the file system or not."""
    threads = [threading.Thread(target=_save_many, args=(tmp_path, f"thread {number}")) for number in range(4)]
    others = [multiprocessing.get_context("fork").Process(target=_save_many, args=(tmp_path, f"process {number}")) for number in range(2)]
    for one in others + threads:
        one.start()
    for one in others + threads:
        one.join()
    assert len({path.read_text() for path in tmp_path.iterdir()}) == len(left_in(tmp_path)) == 150


@pytest.mark.parametrize(
    "stem, expected",
    [
        ("あ" * 200, "あ" * 36 + "_00001.json"),
        ("folder/" + "é" * 300, "folder/" + "é" * 55 + "_00001.json"),
        ("mine\\first", "mine/first_00001.json"),
        ("a:b<c>?*|\"\n", "a_b_c_______00001.json"),
        ("CON", "CON_00001.json"),
        ("C:\\x", "C_/x_00001.json"),
        ("\ud800x", "_x_00001.json"),
        ("nul\0byte", "nul_byte_00001.json"),
        (" spaces ", "spaces_00001.json"),
    ],
)
def test_names_that_file_systems_do_not_take_are_made_good(tmp_path, stem, expected):
    files.write_new(tmp_path, stem, ".json", put(""))
    assert left_in(tmp_path) == [expected]


@pytest.mark.parametrize("stem", ["..", "../x", "a/../../x", "..\\..\\x", "/etc/x", "\\\\server\\share\\x", ".", "", "out/x", "loop/x", " .. /x"])
def test_no_name_leads_out_of_a_folder(tmp_path, stem):
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "out").symlink_to(tmp_path)
    (folder / "loop").symlink_to(folder / "loop")
    with pytest.raises(ValueError, match="leads out of"):
        files.write_new(folder, stem, ".json", put(""))
    assert left_in(tmp_path) == []


@pytest.fixture
def results(folders) -> Path:
    folder = folders / "output" / "block_weights"
    folder.mkdir()
    return folder


def test_the_list_of_results_leaves_out_what_cannot_be_looked_at(results, monkeypatch):
    for name in ("a.json", "vanished.json"):
        (results / name).write_text("{}")
    (results / "loop.json").symlink_to(results / "loop.json")
    (results / "nowhere.json").symlink_to(results / "is not there")
    (results / "circle").symlink_to(results)
    real = os.stat

    def stat_that_finds_it_gone(path, *more, **options):
        if str(path).endswith("vanished.json"):
            raise FileNotFoundError(path)
        return real(path, *more, **options)

    monkeypatch.setattr(os, "stat", stat_that_finds_it_gone)
    assert files.result_names() == ["a.json"]
    assert PACK.NODE_CLASS_MAPPINGS["ApplSearchLoadResult"].INPUT_TYPES()["required"]["file"][0] == ["a.json"]


def test_before_the_first_result_nothing_is_said(folders, caplog):
    assert files.result_names() == []
    assert caplog.messages == []


def test_a_folder_that_cannot_be_read_hides_no_others(results, monkeypatch, caplog):
    (results / "a.json").write_text("{}")
    (results / "locked").mkdir()
    real = os.scandir

    def scandir(path):
        if str(path).endswith("locked"):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    assert files.result_names() == ["a.json"]
    assert "Permission denied" in caplog.text


# A search that is done


@pytest.fixture(scope="module")
def training_set():
    return oracle.training_set()


@pytest.fixture
def learnable(node, folders, model):
    return node("ApplSearchLoadLora").load(model, "a.safetensors", 0.5)[0]


def run(node, model, training_set, **changes):
    widgets = {"method": "adamw", "samples": 4, "penalty": 1e-4, "seed": 7} | changes
    return node.run(model, None, training_set, settings=SearchSettings(batch_size=2, comparison=0), **widgets)


def a_file_in_its_place(folders, monkeypatch):
    (folders / "output" / "block_weights").write_text("I am a file")
    return lambda: (folders / "output" / "block_weights").unlink()


def no_room(folders, monkeypatch):
    real = Path.write_text

    def fails(path, text, **options):
        if path.suffix == ".part":
            real(path, text[:100], **options)
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(path, text, **options)

    monkeypatch.setattr(Path, "write_text", fails)
    return lambda: monkeypatch.setattr(Path, "write_text", real)


@pytest.mark.parametrize("trouble", [a_file_in_its_place, no_room])
def test_outputs_leave_when_saving_fails_and_the_next_run_only_saves(node, folders, learnable, training_set, monkeypatch, trouble):
    mend = trouble(folders, monkeypatch)
    searching = node("ApplSearchRun")
    out = run(searching, learnable, training_set)
    (warning,) = out["ui"]["warnings"]
    assert "could not be saved" in warning and "needs no new search" in warning
    found, result = out["result"][0], out["result"][2]
    assert found.patches and result.samples == 4 and "Saved as" not in out["result"][3]
    (state,) = out["ui"]["appl_search"]
    assert state["file"] is None and state["warnings"] == [warning] and warning in out["result"][3]
    json.dumps(state, allow_nan=False)

    monkeypatch.setattr(search_node, "open_search", lambda *_, **__: pytest.fail("It searches again."))
    again = run(searching, learnable, training_set)
    assert again["result"][2] is result and again["ui"]["warnings"]
    mend()
    saved = run(searching, learnable, training_set)
    assert saved["result"][2] is result and not saved["ui"]["warnings"]
    assert left_in(folders / "output") == ["block_weights/a_00001.json"]
    assert files.load_result("a_00001.json").to_json() == result.to_json()


def test_cancel_stays_cancel_when_saving_fails(node, folders, learnable, training_set, monkeypatch, caplog):
    import comfy.model_management as management

    no_room(folders, monkeypatch)
    cancelled_at_the_eighth_question(monkeypatch)
    with pytest.raises(management.InterruptProcessingException):
        run(node("ApplSearchRun"), learnable, training_set, samples=100)
    assert "could not be saved" in caplog.text
    assert {str(Path(path).parent) for path in left_in(folders / "output")} == {"block_weights/unfinished"}


def test_a_baked_file_is_whole_or_not_there(node, folders, monkeypatch):
    from appl_search.weights import bake

    monkeypatch.setattr(bake.Merged, "save", lambda _, path: full_disk(path))
    result = result_for((folders / "loras" / "a.safetensors", {"IN07": 0.25}))
    with pytest.raises(OSError, match="No space left"):
        node("ApplSearchBake").save(result, "one file for each LoRA", 0, "", "loras")
    assert left_in(folders / "loras") == ["a.safetensors", "sub/b.safetensors"]


def test_two_loras_of_long_japanese_names_are_saved(folders):
    for name in ("あ" * 60, "い" * 60):
        (folders / "loras" / f"{name}.safetensors").write_bytes(oracle.LORA_A.read_bytes())
    result = result_for(*((folders / "loras" / f"{name}.safetensors", {}) for name in ("あ" * 60, "い" * 60)))
    assert files.save_result(result).is_file()

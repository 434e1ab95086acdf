"""Training images from a folder, and from nowhere else than the folders that the user allows."""

from __future__ import annotations

import os

import pytest
from PIL import Image

from appl_search.host import conditioning
from tests import stand_in_folder_paths


@pytest.fixture
def inputs(folders):
    """ComfyUI's input folder: cats/10_red/x.png with its caption, cats/y.png, cats/broken.png; outside a picture beside it."""
    for name in ("input/cats/10_red/x.png", "input/cats/y.png", "outside/secret.png"):
        (folders / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (64, 64), "red").save(folders / name)
    (folders / "input/cats/y.txt").write_text("a cat\nmore", encoding="utf-8")
    return folders / "input"


def read(node, folder, broken="stop", metadata="", sub_folders=True, **more):
    return node("ApplSearchTrainingFolder").read(folder, sub_folders, broken, metadata, **more)


def listed(node) -> list[str]:
    return node("ApplSearchTrainingFolder").INPUT_TYPES()["required"]["folder"][0]


def test_it_lists_and_reads_the_folders_in_input(node, inputs):
    assert listed(node) == ["cats", "cats/10_red"]
    out = read(node, "cats")
    assert [item.caption for item in out["result"][0].items] == ["a cat", "red"]
    assert out["ui"]["text"][0] == "2 training images, 11 with repeats"
    more = read(node, "cats", sub_folders=False, previous=out["result"][0])["result"][0]
    assert [item.caption for item in more.items] == ["a cat", "red", "a cat"]


def test_a_broken_picture_stops_it_or_is_left_out_by_name(node, inputs):
    (inputs / "cats" / "broken.png").write_bytes(b"no picture")
    with pytest.raises(ValueError, match="broken.png cannot be read as a picture"):
        read(node, "cats")
    out = read(node, "cats", broken="leave out")
    assert len(out["result"][0]) == 2 and "broken.png" in out["ui"]["text"][1]


@pytest.mark.parametrize("folder", ["../outside", "cats/../../outside", "/etc", ""])
def test_no_folder_leads_out(node, inputs, folder):
    expected = "There is no usable picture|lies outside of ComfyUI's input folder"
    with pytest.raises(ValueError, match=expected if folder == "" else "lies outside"):
        read(node, folder, sub_folders=False)


def test_nothing_that_a_file_names_leads_out_either(node, inputs):
    with pytest.raises(ValueError, match="lies outside"):
        read(node, "cats", metadata="../../outside/meta.json")
    outside = (inputs.parent / "outside").as_posix()
    for option in (
        f'image_dir = "{outside}"',
        'image_dir = "../outside"',
        f'image_dir = "cats"\nconditioning_data_dir = "{outside}"',
    ):
        (inputs / "set.toml").write_text(f"[[datasets]]\n[[datasets.subsets]]\n{option}", encoding="utf-8")
        with pytest.raises(ValueError, match="lies outside"):
            read(node, "set.toml")


def test_a_folder_of_the_users_own_is_allowed_by_its_whole_path(node, inputs, monkeypatch):
    outside = inputs.parent / "outside"
    assert outside.as_posix() not in listed(node)
    monkeypatch.setitem(stand_in_folder_paths.folder_names_and_paths, "training_images", [str(outside)])
    assert outside.as_posix() in listed(node)
    assert len(read(node, outside.as_posix())["result"][0]) == 1


def test_circles_of_links_and_folders_that_are_gone_do_not_take_the_node_away(node, inputs, monkeypatch):
    (inputs / "cats" / "again").symlink_to(inputs, target_is_directory=True)
    (inputs / "self").symlink_to(inputs / "self")
    monkeypatch.setitem(stand_in_folder_paths.folder_names_and_paths, "training_images", [str(inputs / "gone")])
    assert len(listed(node)) < 20


def test_a_changed_file_makes_the_node_run_again(node, inputs):
    changed = node("ApplSearchTrainingFolder").IS_CHANGED
    (inputs / "set.toml").write_text('[[datasets]]\n[[datasets.subsets]]\nimage_dir = "cats"', encoding="utf-8")
    before = changed("cats"), changed("set.toml")
    assert before == (changed("cats"), changed("set.toml"))
    os.utime(inputs / "cats" / "y.txt", ns=(1, 1))
    assert changed("cats") != before[0] and changed("set.toml") != before[1]


def test_what_is_encoded_lies_in_the_output_folder_when_it_is_asked_for(node, inputs, monkeypatch):
    model, clip, vae, *_ = node("ApplSearchTinySDXL").load()
    calls = []
    for name in ("encode_image", "encode_caption"):
        function = getattr(conditioning, name)
        monkeypatch.setattr(conditioning, name, lambda *given, function=function: calls.append(given) or function(*given))
    learnable, clip = node("ApplSearchLoadLora").load(model, "[demo] style", 0.5, clip)

    def search(disk_cache: bool) -> None:
        options = node("ApplSearchTrainingOptions").make(disk_cache=disk_cache)[0]
        images = read(node, "cats", options=options)["result"][0]
        calls.clear()
        node("ApplSearchRun").run(learnable, vae, images, clip, method="adamw", samples=1, penalty=0.0, seed=0)

    cache = inputs.parent / "output" / "block_weights_cache"
    search(False)
    assert len(calls) == 4 and not cache.exists()
    search(True)
    assert len(calls) == 4 and len(list(cache.iterdir())) == 4  # two captions; the latent of two equal pictures, and that they are whole
    search(True)
    assert calls == []

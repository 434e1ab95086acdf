"""Preview pictures from the node that asks for them to the sheet that the page shows."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from appl_search import PreviewSettings, SearchSettings, TrainingSet, demo
from appl_search.host import pictures
from appl_search.report.sheet import CAPTION, CELL, GAP
from appl_search.searching.previews import Preview
from tests import pack

PACK = pack.load_pack()
preview_sheet = sys.modules[f"{pack.NAME}.nodes.panel.preview_sheet"]
search_module = sys.modules[f"{pack.NAME}.nodes.search"]
WIDGETS = {
    "prompt": "a zibby", "negative": "", "every": 2, "width": 64, "height": 128, "steps": 2, "cfg": 3.0,
    "sampler_name": "euler", "scheduler": "normal", "picture_seed": 5,
}  # fmt: skip


@pytest.fixture(scope="module")
def checkpoint():
    return PACK.NODE_CLASS_MAPPINGS["ApplSearchTinySDXL"]().load()


@pytest.fixture
def told() -> list[dict]:
    """Where the page was told to find the sheet, each time."""
    return []


@pytest.fixture
def pictures_of(checkpoint, told, folders):
    """A sheet with pictures at these samples, the last one final."""

    def make(*samples: int):
        torch.manual_seed(0)
        found = preview_sheet.PreviewSheet(checkpoint[2], checkpoint[0].model.latent_format, told.append)
        for number in samples:
            found.add(Preview(number, torch.randn(4, 16, 8), number == samples[-1]))
        return found

    return make


def search(node, checkpoint, previews, samples=4, **more):
    model, clip, vae, *_ = checkpoint
    images, captions = demo.load_images("styled_train")
    learnable = node("ApplSearchLoadLora").load(model, "[demo] style", 0.6, clip)
    return node("ApplSearchRun").run(
        learnable[0], vae, TrainingSet.from_images(images[:2], captions[:2]), learnable[1],
        SearchSettings(batch_size=2, validation=0), previews=previews, method="adamw", samples=samples, penalty=1e-4, seed=0, **more,
    )  # fmt: skip


def test_the_node_makes_the_settings_that_its_widgets_show(node):
    (made,) = node("ApplSearchPreviews").make(**WIDGETS)
    assert made == PreviewSettings(
        "a zibby", negative="", every=2, width=64, height=128, steps=2, cfg=3.0, sampler="euler", scheduler="normal", seed=5
    )


def test_a_search_gives_its_pictures_and_saves_a_sheet_beside_the_result(node, folders, checkpoint):
    (settings,) = node("ApplSearchPreviews").make(**WIDGETS)
    out = search(node, checkpoint, settings)
    images = out["result"][4]
    assert tuple(images.shape) == (3, 128, 64, 3) and 0 <= images.min() and images.max() <= 1
    (state,) = out["ui"]["appl_search"]
    sheet = state["previews"]
    path = folders / "output" / sheet["subfolder"] / sheet["filename"]
    assert path.name == "style_00001_previews.png" and path.with_name("style_00001.json").is_file()
    assert (sheet["before"]["text"], sheet["after"]["text"]) == ("start", "found")
    assert Image.open(path).size == (sheet["width"], sheet["height"])


def test_without_previews_there_is_no_sheet_and_comfyui_leaves_out_what_wants_pictures(node, folders, checkpoint, monkeypatch):
    class ExecutionBlocker:
        def __init__(self, message):
            self.message = message

    module = type(sys)("comfy_execution.graph_utils")
    module.ExecutionBlocker = ExecutionBlocker
    monkeypatch.setitem(sys.modules, "comfy_execution.graph_utils", module)
    out = search(node, checkpoint, None)
    assert isinstance(out["result"][4], ExecutionBlocker) and out["result"][4].message is None
    assert out["ui"]["appl_search"][0]["previews"] is None


def test_a_search_that_is_cut_off_keeps_its_pictures(node, folders, checkpoint, monkeypatch):
    (settings,) = node("ApplSearchPreviews").make(**WIDGETS)

    class Cancelled(Exception):
        pass

    def cancel(self, event):
        if event.step == 2:
            raise Cancelled

    monkeypatch.setattr(search_module.RunningSearch, "__call__", cancel)
    with pytest.raises(Cancelled):
        search(node, checkpoint, settings)
    assert preview_sheet.saved_sheet("partial_00001.json")["after"]["text"] == "2 samples"


def test_the_page_is_told_of_a_new_file_each_time(pictures_of, told, folders):
    pictures_of(0, 16, 32)
    assert {sheet["before"]["text"] for sheet in told} == {"start"}
    assert [sheet["after"] and sheet["after"]["text"] for sheet in told] == [None, "16 samples", "found"]
    assert len({sheet["filename"] for sheet in told}) == 3 and {sheet["type"] for sheet in told} == {"temp"}
    assert (folders / "temp" / told[-1]["filename"]).is_file()


def test_each_picture_is_in_its_place_on_the_sheet(pictures_of, tmp_path):
    found = pictures_of(0, 1, 2, 3, 4)
    found.save(tmp_path / "sheet.png")
    sheet = Image.open(tmp_path / "sheet.png")
    cell = (CELL // 2, CELL)
    assert sheet.size == (4 * cell[0] + 3 * GAP, 2 * (cell[1] + CAPTION))
    for number, pixels in enumerate(found.pictures()):
        left, top = (number % 4) * (cell[0] + GAP), (number // 4) * (cell[1] + CAPTION)
        part = sheet.crop((left, top, left + cell[0], top + cell[1])).convert("RGB").resize((64, 128))
        difference = torch.from_numpy(np.asarray(part, dtype=np.float32)) / 255 - pixels
        assert difference.abs().mean() < 0.03
    caption = sheet.crop((0, cell[1], cell[0], cell[1] + CAPTION))
    assert caption.getextrema()[3][1] == 255, "no caption below the first picture"


@pytest.mark.parametrize("samples", [(0, 1), (0, 1, 2, 3), (0, 1, 2, 3, 4), range(9)])
def test_before_and_after_are_cut_out_of_the_sheet_where_they_are(pictures_of, folders, samples):
    found = pictures_of(*samples)
    preview_sheet.result_folder().mkdir()
    found.save(preview_sheet.sheet_path("a.json"))
    cut = preview_sheet.before_and_after("a.json")
    assert list(cut) == ["before", "after"]
    for image, pixels in zip(cut.values(), found.pictures()[[0, -1]]):
        assert image.size == (CELL // 2, CELL)
        shrunk = np.asarray(image.convert("RGB").resize((64, 128)), dtype=np.float32)
        assert (torch.from_numpy(shrunk) / 255 - pixels).abs().mean() < 0.03


def test_pictures_wait_for_the_end_when_the_vae_has_no_room(pictures_of, monkeypatch):
    decoded = []
    decode = pictures.decode
    monkeypatch.setattr(preview_sheet.pictures, "fits", lambda *_: False)
    monkeypatch.setattr(preview_sheet.pictures, "decode", lambda vae, latent: (decoded.append(latent), decode(vae, latent))[1])
    found = pictures_of(0, 16)
    assert not decoded
    assert tuple(found.pictures().shape) == (2, 128, 64, 3) and len(decoded) == 2


def test_no_sheet_of_a_search_without_one(folders: Path):
    assert preview_sheet.saved_sheet("none_00001.json") is None
    assert preview_sheet.before_and_after("none_00001.json") == {}

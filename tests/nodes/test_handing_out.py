"""What the buttons of the panel hand out, by the addresses that they ask."""

from __future__ import annotations

import sys

import pytest
from PIL import Image
from safetensors.torch import load_file

from appl_search.weights.fields import Fields
from tests import pack
from tests.nodes.results import result_for

PACK = pack.load_pack()
handing_out = sys.modules[f"{pack.NAME}.nodes.panel.handing_out"]
files = sys.modules[f"{pack.NAME}.nodes.support.files"]
preview_sheet = sys.modules[f"{pack.NAME}.nodes.panel.preview_sheet"]
RATES = {"IN07": 0.3, "MID": 0.0, "OUT01": -0.6}


@pytest.fixture
def result(folders):
    return result_for((folders / "loras" / "a.safetensors", RATES), (folders / "loras" / "sub" / "b.safetensors", {}))


@pytest.fixture
def file(result):
    """The saved result's name."""
    return files.save_result(result).name


def baked(folders, saved, **asked):
    """The files that appear in the loras folder."""
    loras = folders / "loras"
    before = set(loras.iterdir())
    said = handing_out.bake(Fields({"file": saved, "penalty": None, "strengths": None, **asked}))["text"]
    new = sorted(set(loras.iterdir()) - before)
    assert said == [f"Saved as {path}" for path in new]
    return [load_file(path) for path in new]


def test_baked_files_are_those_of_the_node_and_loaders_find_them(node, folders, file, result):
    paths = node("ApplSearchBake").save(result, "one file for each LoRA", 0, "", "output/loras")["result"][0].splitlines()
    for tensors, path in zip(baked(folders, file), paths, strict=True):
        expected = load_file(path)
        assert tensors.keys() == expected.keys() and all(tensors[key].equal(expected[key]) for key in tensors)


def test_baked_at_single_strengths(folders, file):
    """Of the first LoRA half of all it does, of the second nothing."""
    halved, nothing = baked(folders, file, strengths=[0.5, 0.0])
    original = load_file(folders / "loras" / "a.safetensors")
    assert halved.keys() == original.keys() and not nothing
    scale = {key: float(halved[key].norm() / original[key].norm()) for key in original if key.endswith("weight")}
    for key in (key for key in scale if "up.weight" in key):
        assert scale[key] * scale[key.replace("up.weight", "down.weight")] == pytest.approx(0.5, rel=1e-3)


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [({"file": "none.json"}, "none.json"), ({"strengths": [1.0]}, "strengths"), ({"strengths": "x"}, "strengths"), ({"penalty": 0.1}, "no path of penalties"), ({"penalty": "x"}, "penalty")],
)
def test_what_cannot_be_baked_is_said_in_words(folders, file, wrong, expected):
    with pytest.raises(ValueError, match=expected):
        baked(folders, file, **wrong)


def test_a_lora_that_is_gone_cannot_be_baked(folders, file):
    (folders / "loras" / "a.safetensors").unlink()
    with pytest.raises(ValueError, match="no LoRA named a"):
        baked(folders, file)


def test_a_report_has_the_pictures_before_and_after(file, folders):
    without = handing_out.report(file, None)
    assert without.count("data:image/jpeg") == 0 and "OUT01" in without
    sheet = preview_sheet.sheet([Image.new("RGB", (64, 64))] * 3, ["start", "2 samples", "found"])
    about = preview_sheet.PngInfo()
    about.add_itxt("Description", "Preview pictures: start, 2 samples, found")
    sheet.save(preview_sheet.sheet_path(file), pnginfo=about)
    assert handing_out.report(file, None).count("data:image/jpeg") == 2


@pytest.mark.parametrize(("file_name", "penalty"), [("../x.json", None), ("none.json", None), (None, "x"), (None, "0.1")])
def test_a_report_of_what_is_not_there_is_refused(file, folders, file_name, penalty):
    with pytest.raises(ValueError):
        handing_out.report(file_name or file, penalty)

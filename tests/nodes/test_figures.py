"""Figures and reports of block weights."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from appl_search import BlockRules, LoraSource, SearchSettings, search
from appl_search.report.figures import draw, figures_of
from tests import oracle
from tests.nodes.results import result_for


@pytest.fixture(scope="module")
def found():
    sources = [LoraSource(oracle.LORA_A), LoraSource(oracle.LORA_B)]
    return search(oracle.sdxl(), None, None, sources, oracle.training_set(), SearchSettings(samples=16, batch_size=4))


def plot(node, *arguments):
    return node("ApplSearchPlot").plot(*arguments)["result"][0]


@pytest.mark.parametrize("figure", ["all", "bars", "loss", "penalty path"])
def test_a_plot_is_an_image_of_the_size_asked_for_with_colours_of_both_loras(node, folders, found, figure):
    image = plot(node, found, figure, "light", 640, 480)
    assert image.shape == (1, 480, 640, 3) and image.dtype == torch.float32
    assert 0 <= image.min() and image.max() == 1
    first, second = torch.tensor([0x00, 0x72, 0xB2]) / 255, torch.tensor([0xA8, 0x64, 0x00]) / 255
    for color in (first, second):
        assert ((image - color).abs().amax(-1) < 0.15).sum() > 20


@pytest.mark.parametrize("figure", ["comparison", "blocks", "likeness"])
def test_what_blocks_do_is_an_image_too(node, folders, found, figure):
    image = plot(node, found, figure, "light", 640, 480)
    assert image.shape == (1, 480, 640, 3) and len(image.flatten(0, 2).unique(dim=0)) > 20


def test_themes_differ_in_their_background(node, folders, found):
    dark, light = (plot(node, found, "bars", theme, 400, 300) for theme in ("dark", "light"))
    assert dark[0, 0, 0].mean() < 0.2 and light[0, 0, 0].mean() == 1


def test_the_node_shows_the_plot_that_it_gives(node, folders, found):
    out = node("ApplSearchPlot").plot(found, "bars", "dark", 400, 300)
    (shown,) = out["ui"]["images"]
    assert (shown["type"], shown["subfolder"]) == ("temp", "")
    with Image.open(folders / "temp" / shown["filename"]) as picture:
        assert np.array_equal(np.asarray(picture), (out["result"][0][0] * 255).round().byte().numpy())


def test_a_longer_bar_has_more_ink(node, folders):
    def ink(rate):
        result = result_for((folders / "loras" / "a.safetensors", {"IN07": rate, "IN08": 2.0}))
        image = plot(node, result, "bars", "light", 400, 300)
        return int(((image - torch.tensor([0x00, 0x72, 0xB2]) / 255).abs().amax(-1) < 0.05).sum())

    assert ink(1.5) > ink(0.5) * 1.01


def test_fixed_rates_are_pale_and_the_figure_says_so(node, folders):
    result = result_for((folders / "loras" / "a.safetensors", {}))
    fixed = replace(result, rules=(BlockRules.parse("IN04-IN05 = 1", result.rules[0].architecture),))
    found, ruled = (draw(each, "bars", "light", 6, 3) for each in (result, fixed))
    assert [bar.get_alpha() for bar in ruled.axes[0].patches if bar.get_height() == 1].count(0.4) == 2
    assert 0.4 not in [bar.get_alpha() for bar in found.axes[0].patches]
    assert "pale: fixed" in ruled.axes[0].get_title("right") and "pale" not in found.axes[0].get_title("right")


def test_a_result_without_a_path_says_so(node, folders):
    result = result_for((folders / "loras" / "a.safetensors", {}))
    with pytest.raises(ValueError, match="search with gauss-newton"):
        plot(node, result, "penalty path", "light", 400, 300)
    assert plot(node, result, "all", "light", 400, 600).shape == (1, 600, 400, 3)


def test_a_report_has_rates_strings_settings_and_pictures_and_nothing_from_elsewhere(node, folders, found):
    pictures = torch.rand(2, 16, 16, 3)
    out = node("ApplSearchReport").save(found, "mine", pictures, pictures[:1])
    path = folders / "output" / "block_weights" / "reports" / "mine_00001.html"
    assert out["result"] == (str(path),) and out["ui"]["appl_search_report"] == ["mine_00001.html"]
    text = path.read_text(encoding="utf-8")
    for weights in found.block_weights:
        assert weights.to_string("inspire") in text and f"{weights['OUT00']:.3f}" in text
    assert text.count("<img src=\"data:image/jpeg;base64,") == 3 and text.count("<svg") == len(figures_of(found)) == 6
    assert "torch" in text and "negative_penalty" in text
    assert not re.search(r"<script|(?:src|href)=[\"'](?!data:|#)", text)
    assert node("ApplSearchReport").save(found, "mine")["ui"]["appl_search_report"] == ["mine_00002.html"]


def test_names_are_not_html(node, folders):
    evil = folders / "loras" / "<img onerror=x>.safetensors"
    (folders / "loras" / "a.safetensors").rename(evil)
    (path,) = node("ApplSearchReport").save(result_for((evil, {})), "safe")["result"]
    with open(path, encoding="utf-8") as file:
        text = file.read()
    assert "<img onerror" not in text and "&lt;img onerror=x&gt;" in text


def test_a_long_name_leaves_the_figure_its_width(node, folders):
    def columns_with_bars(name):
        path = folders / "loras" / f"{name}.safetensors"
        path.write_bytes((folders / "loras" / "a.safetensors").read_bytes())
        image = plot(node, result_for((path, {})), "bars", "light", 500, 300)
        return int((((image - torch.tensor([0x00, 0x72, 0xB2]) / 255).abs().amax(-1) < 0.05).any(1)).sum())

    assert columns_with_bars("x" * 200) == columns_with_bars("short")

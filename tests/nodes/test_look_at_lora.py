"""The node Look at LoRA."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from appl_search.report.look import NO_SEARCH

BAR = torch.tensor([0x00, 0x72, 0xB2]) / 255


def look(node, *more):
    return node("ApplSearchLook").look("a.safetensors", "light", 600, 300, *more)


def test_it_gives_a_table_with_words_and_a_figure_that_it_shows(node, folders, model):
    out = look(node, model)
    text, image = out["result"]
    assert text.startswith("block") and text.endswith(NO_SEARCH) and "\n\n".join(reversed(out["ui"]["text"])) == text
    assert image.shape == (1, 300, 600, 3) and ((image - BAR).abs().amax(-1) < 0.05).sum() > 200
    with Image.open(folders / "temp" / out["ui"]["images"][0]["filename"]) as picture:
        assert np.array_equal(np.asarray(picture), (image[0] * 255).round().byte().numpy())


def test_without_a_model_it_shows_norms(node, folders, model):
    assert "of its weights" in look(node, model)["result"][0]
    assert "of its weights" not in look(node)["result"][0]


def test_a_clip_alone_is_refused(node, folders):
    with pytest.raises(ValueError, match="Connect the MODEL too"):
        look(node, None, object())


def test_the_model_is_left_alone(node, folders, model):
    before = {key: weight.clone() for key, weight in model.model.state_dict().items()}
    look(node, model)
    assert not model.patches and all(torch.equal(weight, before[key]) for key, weight in model.model.state_dict().items())

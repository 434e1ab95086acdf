"""Images and captions find each other."""

from __future__ import annotations

import pytest
import torch


def images(number: int, height: int = 64, width: int = 64) -> torch.Tensor:
    return torch.rand(number, height, width, 3, generator=torch.Generator().manual_seed(0))


def captions(training_set) -> list[str]:
    return [item.caption for item in training_set.items]


def collect(node, *arguments):
    out = node("ApplSearchTrainingImages").collect(*arguments)
    return out["result"][0], out["ui"]["text"]


def test_one_line_for_each_image(node):
    training_set, text = collect(node, images(3), "a cat\n\na dog \n")
    assert captions(training_set) == ["a cat", "", "a dog"]
    assert text[0] == "3 training images"


@pytest.mark.parametrize("text", ["a cat", "a cat\n", "a cat\r\n"])
def test_a_single_line_serves_all(node, text):
    assert captions(collect(node, images(3), text)[0]) == ["a cat"] * 3


def test_no_caption_is_an_empty_one(node):
    assert captions(collect(node, images(2), "")[0]) == ["", ""]


def test_another_number_of_captions_is_refused(node):
    with pytest.raises(ValueError, match="There are 2 captions for 3 images"):
        collect(node, images(3), "a cat\na dog")


def test_images_of_other_sizes_are_appended(node):
    first, _ = collect(node, images(2), "a cat")
    both, text = collect(node, images(1, 96, 64), "a dog", first)
    assert captions(both) == ["a cat", "a cat", "a dog"]
    assert [tuple(item.pixels.shape) for item in both.items] == [(64, 64, 3), (64, 64, 3), (96, 64, 3)]
    assert len(first) == 2 and text[0] == "3 training images"


def test_a_crop_is_shown_in_the_node_and_logged(node, caplog):
    with caplog.at_level("INFO", "appl_search"):
        training_set, text = collect(node, images(1, 70, 64), "a cat")
    assert training_set.items[0].pixels.shape == (64, 64, 3)
    assert "from 64x70 to 64x64" in text[1] and "from 64x70 to 64x64" in caplog.text

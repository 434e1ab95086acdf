"""Images and captions find each other."""

from __future__ import annotations

import pytest
import torch

from appl_search import TrainingOptions


def images(number: int, height: int = 64, width: int = 64) -> torch.Tensor:
    return torch.rand(number, height, width, 3, generator=torch.Generator().manual_seed(0))


def captions(training_set) -> list[str]:
    return [item.caption for item in training_set.items]


def collect(node, *arguments):
    """As ComfyUI calls it: with a list for every input."""
    out = node("ApplSearchTrainingImages").collect(*([argument] for argument in arguments))
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


def test_lists_of_images_and_texts_give_one_training_set(node):
    """What ComfyUI's nodes for datasets give: images of any size, and a whole text for each."""
    assert node("ApplSearchTrainingImages").INPUT_IS_LIST
    listed = [images(1), images(1, 96, 64), images(1)]
    texts = ["\ufeffa cat\nwith more", "", "a dog"]
    training_set = node("ApplSearchTrainingImages").collect(listed, texts)["result"][0]
    assert captions(training_set) == ["a cat", "", "a dog"]
    whole = [TrainingOptions(all_lines=True)]
    training_set = node("ApplSearchTrainingImages").collect(listed, texts, options=whole)["result"][0]
    assert [item.version().prompt for item in training_set.items] == ["a cat with more", "", "a dog"]


def test_masks_and_options_go_with_the_images(node):
    options = TrainingOptions(repeats=2, prefix="photo of")
    mask = torch.zeros(1, 64, 64)
    mask[:, :, 32:] = 1
    training_set, text = collect(node, images(2), "a cat", None, mask, options)
    assert text[0] == "2 training images, 4 with repeats"
    assert [item.version().prompt for item in training_set.items] == ["photo of a cat"] * 2
    assert all(item.read()[1][:, 32:].all() and not item.read()[1][:, :32].any() for item in training_set.items)


def test_the_options_node_has_the_defaults_of_the_api(node):
    widgets = node("ApplSearchTrainingOptions").INPUT_TYPES()["required"]
    (made,) = node("ApplSearchTrainingOptions").make(**{name: spec[1]["default"] for name, spec in widgets.items()})
    assert made == TrainingOptions()


def test_lists_of_latents_and_conditioning_give_one_training_set(node):
    """As ComfyUI's Make Training Dataset gives them, and its Resolution Bucket."""
    entry = [torch.zeros(1, 77, 64), {"pooled_output": torch.zeros(1, 32)}]
    latents = [{"samples": torch.zeros(1, 4, 8, 8)}, {"samples": torch.ones(2, 4, 8, 12)}]
    for conditioning in ([[entry], [entry, entry]], [[entry]]):
        out = node("ApplSearchTrainingLatents").collect(latents, conditioning)
        assert [tuple(item.latent.shape) for item in out["result"][0].items] == [(4, 8, 8), (4, 8, 12), (4, 8, 12)]
    with pytest.raises(ValueError, match="There are 2 conditioning entries for 3 latents"):
        node("ApplSearchTrainingLatents").collect(latents, [[entry], [entry]])

"""What becomes of images in memory: channels, alpha, masks, sizes, repeats."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import load_file

from appl_search import TrainingSet
from appl_search.images.frames import Frame
from appl_search.images.options import TrainingOptions
from appl_search.images.pixels import latent_mask, resized
from appl_search.images.training_set import balanced
from tests.pack import ROOT

KOHYA = ROOT / "tests" / "data" / "kohya"
RECORDED = load_file(KOHYA / "pictures.safetensors")


def made_by_rule(width: int, height: int) -> torch.Tensor:
    """The image of which the record was made, [h, w, 3] in 0..1."""
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    channels = ((x * 7 + y * 3) % 256, x * y % 256, (x // 5 % 2 * 200 + y) % 256)
    return torch.stack(channels, dim=-1).float() / 255


def only(images, captions="a cat", **more):
    (picture,) = TrainingSet.from_images(images, captions, **more).items
    return picture


@pytest.mark.parametrize("name", [name for name in RECORDED if "-" in name])
def test_resizing_and_central_crop_are_kohyas_up_to_rounding_to_bytes(name):
    (width, height), bucket, size = (tuple(map(int, part.split("x"))) for part in name.split("-"))
    left, top = Frame((width, height), size, bucket).centre
    ours = resized(made_by_rule(width, height), size)[top : top + bucket[1], left : left + bucket[0]]
    assert (ours * 255 - RECORDED[name].float()).abs().max() <= 0.501


def test_a_mask_at_the_size_of_latents_is_kohyas():
    mask = torch.stack([latent_mask(each) for each in RECORDED["mask"]])[:, None]
    torch.testing.assert_close((RECORDED["loss"] * mask).mean((1, 2, 3)), RECORDED["masked"])


def test_regularisation_pictures_are_repeated_as_kohya_repeats_them():
    for case in json.loads((KOHYA / "regularisation.json").read_text()):
        assert balanced(case["training"], case["repeats"]) == case["result"], case


def test_an_epoch_has_repeats_and_as_many_regularisation_pictures_as_others():
    images = torch.zeros(2, 64, 64, 3)
    thrice = TrainingSet.from_images(images, "a", options=TrainingOptions(repeats=3))
    regular = TrainingSet.from_images(
        images, "b", options=TrainingOptions(regularisation=True, prior_weight=0.5, weight=0.8)
    )
    both = regular + thrice
    assert both.epoch() == [0] * 3 + [1] * 3 + [2] * 3 + [3] * 3
    assert [item.options.loss_weight for item in both.items] == [0.4, 0.4, 1.0, 1.0]
    assert regular.epoch() == [0, 1]


def test_bytes_grey_and_grey_with_alpha_become_rgb():
    grey = torch.full((1, 64, 64, 1), 51, dtype=torch.uint8)
    torch.testing.assert_close(only(grey).pixels, torch.full((64, 64, 3), 0.2))
    clear = torch.cat([torch.zeros(64, 64, 1), torch.zeros(64, 64, 1)], dim=-1)
    torch.testing.assert_close(only(clear).pixels, torch.ones(64, 64, 3))


@pytest.mark.parametrize(
    "image, message",
    [
        (torch.full((64, 64, 3), 254.99), "Training image 2 has values from 254.99 to 254.99, expected 0 to 1"),
        (torch.full((64, 64, 3), -1.0), "Training image 2 has values from -1 to -1"),
        (torch.zeros(64, 64, 5), r"Training image 2 has shape \(64, 64, 5\), expected .* 1 .grey., 3 .RGB. or 4"),
    ],
)
def test_images_that_are_none_are_refused_by_number(image, message):
    with pytest.raises(ValueError, match=message):
        TrainingSet.from_images([torch.zeros(1, 64, 64, 3), image[None]], "a cat")


def test_alpha_is_laid_on_a_colour_or_counts_as_a_mask_or_is_dropped():
    image = torch.zeros(64, 64, 4)
    image[:, 32:, 3] = 1
    for colour, expected in {"white": 1.0, "#ff0000": (1.0, 0.0, 0.0)}.items():
        pixels = only(image[None], options=TrainingOptions(alpha=colour)).pixels
        torch.testing.assert_close(pixels[0, 0], torch.ones(3) * torch.tensor(expected))
        assert not pixels[:, 32:].any()
    masked = only(image[None], options=TrainingOptions(alpha="mask"))
    torch.testing.assert_close(masked.read()[1], image[:, :, 3])
    assert not masked.pixels.any()
    assert only(image[None], options=TrainingOptions(alpha="ignore")).read()[1] is None
    notes = TrainingSet.from_images(image[None], "a cat").notes
    assert notes == ("Image 1 has an alpha channel and was laid on white.",)
    opaque = torch.ones(1, 64, 64, 4)
    assert TrainingSet.from_images(opaque, "a cat").notes == ()


def test_masks_go_with_their_images_at_their_size():
    images = torch.zeros(2, 72, 64, 3)
    masks = torch.zeros(2, 36, 32)
    masks[0, :18], masks[1, :, :8] = 1, 1
    first, second = TrainingSet.from_images(images, "a cat", masks).items
    assert first.read()[1].shape == (72, 64)
    assert first.read()[1][:34].min() > 0.95 and first.read()[1][40:].max() < 0.1
    assert second.read()[1][:, :14].min() > 0.9


def test_a_mask_that_cannot_be_used_is_refused_by_number():
    images = torch.zeros(2, 128, 64, 3)
    ones = torch.ones(1, 128, 64)
    for mask, message in ((ones * 0, "The mask of training image 2 is 0 everywhere"), (ones * 2, "outside 0..1")):
        with pytest.raises(ValueError, match=message):
            TrainingSet.from_images(images, "a", [ones, mask])
    with pytest.raises(ValueError, match="There are 3 masks for 2 images"):
        TrainingSet.from_images(images, "a", torch.ones(3, 128, 64))


def test_the_placeholder_that_comfyui_gives_for_no_mask_masks_nothing():
    assert only(torch.zeros(1, 128, 64, 3), masks=torch.zeros(1, 64, 64)).read()[1] is None


@pytest.mark.parametrize(
    "extras, message",
    [
        ({"area": (8, 8, 0, 0)}, "has area, which a search cannot serve"),
        ({"mask": torch.ones(1, 8, 8), "mask_strength": 0.5}, "has mask, mask_strength"),
        ({"start_percent": 0.2, "end_percent": 1.0}, "has start_percent"),
        ({"control": object()}, "has control"),
        ({"hooks": object(), "gligen": object()}, "has gligen, hooks"),
        ({"strength": 0.7, "default": True}, "has strength, default"),
        ({"concat_latent_image": torch.zeros(1, 4, 8, 8), "reference_latents": [1]}, "has concat_latent_image, reference_latents"),
        ({"width": -8}, "has width -8, expected at least 0"),
        ({"pooled_output": torch.zeros(2, 32)}, r"pooled output of shape \(2, 32\), expected \(1, channels\)"),
        ({"pooled_output": torch.full((1, 32), float("nan"))}, "NaN"),
    ],
)
def test_conditioning_that_a_search_cannot_serve_is_refused_by_name(extras, message):
    latent = {"samples": torch.zeros(2, 4, 8, 8)}
    plain = [torch.zeros(1, 77, 64), {"pooled_output": torch.zeros(1, 32), "strength": 1.0, "start_percent": 0.0}]
    with pytest.raises(ValueError, match=f"latent 2 has.*{message}|latent 2 {message}"):
        TrainingSet.from_latents(latent, [plain, [plain[0], plain[1] | extras]])


def test_latents_of_another_shape_are_refused_and_their_noise_mask_counts():
    conditioning = [[torch.zeros(1, 77, 64), {"pooled_output": torch.zeros(1, 32)}]]
    for shape in ((1, 4, 1, 8, 8), (1, 4, 0, 8), (0, 4, 8, 8)):
        with pytest.raises(ValueError, match="The LATENT has shape"):
            TrainingSet.from_latents({"samples": torch.zeros(shape)}, conditioning)
    mask = torch.zeros(1, 1, 64, 64)
    mask[:, :, :, 32:] = 1
    (example,) = TrainingSet.from_latents({"samples": torch.zeros(1, 4, 8, 8), "noise_mask": mask}, conditioning).items
    assert example.mask.shape == (8, 8) and not example.mask[:, :4].any() and example.mask[:, 4:].all()

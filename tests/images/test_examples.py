"""Versions of pictures, masks and weights, on their way into the loss."""

from __future__ import annotations

from dataclasses import replace

import torch

from appl_search import LoraSource, SearchSettings, TrainingOptions, TrainingSet
from appl_search.gradients.draws import Draws
from appl_search.gradients.evaluator import opened
from appl_search.images.encoding import encode
from tests import oracle
from tests.images.encoders import PlainEncoders

CAPTION = "one, two, three, four, five"
VARIED = TrainingOptions(width=64, height=64, buckets=False, flip=True, random_crop=True, shuffle=True, variants=12)


def encoded(training_set, seed=0):
    """The examples, and the captions that were encoded."""
    encoders = PlainEncoders()
    return encode(training_set, encoders, seed), encoders.captions


def pictures(options=TrainingOptions(), number=2, **more):
    images = torch.rand(number, 64, 96, 3, generator=torch.Generator().manual_seed(0))
    return TrainingSet.from_images(images, CAPTION, options=options, **more)


def seen(example):
    return (example.caption, tuple(example.sizes.values()), example.latent.sum().item(), example.latent[0, 0, 0].item())


def test_samples_differ_as_the_options_ask_and_are_the_same_for_the_same_seed_and_number():
    examples, captions = encoded(pictures(VARIED))
    again, _ = encoded(pictures(VARIED))
    other, _ = encoded(pictures(VARIED), seed=1)
    samples = [[seen(each.of(number % 2, number)) for number in range(100)] for each in (examples, again, other)]
    assert samples[0] == samples[1] != samples[2]
    backwards = [seen(examples.of(number % 2, number)) for number in reversed(range(100))]
    assert backwards[::-1] == samples[0]
    assert len(set(samples[0])) > 12 and len(captions) == len(set(captions)) <= 24
    assert {tuple(sorted(caption.split(", "))) for caption, *_ in samples[0]} == {tuple(sorted(CAPTION.split(", ")))}


def test_half_of_the_samples_are_mirrored_and_a_mirrored_crop_is_told_to_sdxl():
    examples, _ = encoded(pictures(TrainingOptions(flip=True, variants=200), number=1))
    mirrored = [not torch.equal(examples.of(0, number).latent, examples.of(0, 0).latent) for number in range(400)]
    assert 140 < sum(mirrored) < 260
    image = torch.rand(1, 64, 101, 3)
    examples, _ = encoded(TrainingSet.from_images(image, "", options=TrainingOptions(flip=True, variants=8)))
    made = {example.sizes["crop_w"]: example.latent for example in (examples.of(0, number) for number in range(50))}
    assert set(made) == {2, 3}  # 5 pixels are cut off, 2 at the left: of the mirrored picture 3
    torch.testing.assert_close(made[2], made[3].flip(-1))


def test_without_anything_random_each_picture_and_caption_is_encoded_once():
    examples, captions = encoded(pictures(TrainingOptions(prefix="photo of", repeats=3)))
    assert captions == ["photo of " + CAPTION]
    assert len(examples) == 6 and examples.of(0, 1).latent is examples.of(1, 7).latent is examples.of(2, 0).latent


def test_a_mask_is_mirrored_and_cropped_with_its_picture():
    image = torch.zeros(1, 64, 96, 3)
    image[:, :, 80:] = 1
    training_set = TrainingSet.from_images(image, "", image[..., 0], replace(VARIED, alpha="mask"))
    examples, _ = encoded(training_set)
    for example in (examples.of(0, number) for number in range(30)):
        torch.testing.assert_close(example.mask, torch.nn.functional.avg_pool2d(example.latent[:1], 8)[0])


def gradients(items, probes=None):
    sources = [LoraSource(oracle.LORA_A)]
    task = replace(
        oracle.task(oracle.sdxl(), sources, SearchSettings(samples=4, batch_size=4)), images=TrainingSet(items)
    )
    with opened(task) as evaluator:
        draw = Draws(evaluator.shapes, 4, 4, seed=3).current()
        if probes is not None:
            draw = replace(draw, probes=[probe * mask for probe, mask in zip(draw.probes, probes)])
        rates = evaluator.rates.all_rates(evaluator.rates.start)
        found = evaluator.gradients(draw, rates, probes=4)
        steps = torch.zeros_like(rates)
        steps[0, 5] = 0.05
        above, below = (evaluator.losses(draw, rates + sign * steps) for sign in (1, -1))
        by_differences = (above - below) / 0.1
        return found, by_differences, int(evaluator.rates.parameter_of[0, 5]), draw.indices.tolist()


def test_the_loss_counts_what_masks_and_weights_say_and_gradients_and_probes_follow():
    plain = oracle.training_set().items[:4]
    whole, *_ = gradients(plain)
    half = torch.zeros(plain[0].latent.shape[1:])
    half[:, half.shape[1] // 2 :] = 1
    left = tuple(replace(item, mask=1 - half, weight=0.5) for item in plain)
    right = tuple(replace(item, mask=half, weight=0.5) for item in plain)
    mixed = (*right[:2], *plain[2:])
    found_left, *_ = gradients(left)
    found_right, by_differences, parameter, _ = gradients(right)
    # The halves make up the whole, each divided by all elements, as in sd-scripts' masked loss.
    torch.testing.assert_close(2 * (found_left.losses + found_right.losses), whole.losses, rtol=1e-4, atol=0)
    torch.testing.assert_close(
        2 * (found_left.gradients + found_right.gradients), whole.gradients, rtol=1e-3, atol=1e-6
    )
    torch.testing.assert_close(found_right.gradients[:, parameter], by_differences, rtol=0.03, atol=1e-6)
    # J'u of what is masked is that of u without it.
    masked, *_ = gradients(plain, [0.5**0.5 * half] * 4)
    torch.testing.assert_close(found_right.probes, masked.probes, rtol=1e-3, atol=1e-6)
    found_mixed, _, _, indices = gradients(mixed)
    for row, index in enumerate(indices):
        expected = found_right if index < 2 else whole
        torch.testing.assert_close(found_mixed.losses[row], expected.losses[row], rtol=1e-4, atol=0)

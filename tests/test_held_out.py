"""Pictures that a search has not seen: which they are, that it has not seen them, and what they say of what was found."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
import torch

from appl_search import LoraSource, SearchSettings, TrainingOptions, TrainingSet, search
from appl_search.gradients.batch import Gradients
from appl_search.gradients.draws import Draws
from appl_search.searching.groups import Groups
from appl_search.searching.held_out import split
from tests import oracle
from tests.methods.planted import PlantedRates

QUICK = SearchSettings(samples=24, batch_size=8, tolerance=0.0, comparison=16)


def pictures(count: int, options: TrainingOptions = TrainingOptions(), seed: int = 0) -> TrainingSet:
    images = torch.rand(count, 64, 64, 3, generator=torch.Generator().manual_seed(seed))
    return TrainingSet.from_images(images, "", options=options)


def parts(images: TrainingSet, **settings):
    return split(images, images.epoch(), SearchSettings(**settings))


@pytest.mark.parametrize("count, part, kept_out", [(9, None, 0), (10, None, 2), (50, None, 10), (10, 0.0, 0), (5, 0.5, 2), (8, 0.01, 1)])
def test_how_many_pictures_are_kept_out(count, part, kept_out):
    found = parts(pictures(count), held_out=part)
    assert len(found.held_out) == kept_out and found.note is None
    assert sorted(found.searched + found.held_out) == list(range(count))


def test_of_four_pictures_none_is_kept_out_and_that_is_said():
    found = parts(pictures(4), held_out=0.25)
    assert not found.held_out and "held_out is 0.25, but of 4 images none" in found.note


def test_a_repeated_picture_is_kept_out_whole_and_regularisation_pictures_are_searched():
    images = pictures(10, TrainingOptions(repeats=3)) + pictures(5, TrainingOptions(regularisation=True), seed=1)
    items = images.epoch()
    found = parts(images, held_out=0.4)
    kept_out = Counter(items[place] for place in found.held_out)
    assert set(kept_out.values()) == {3} and len(kept_out) == 4 and max(kept_out) < 10
    in_folds = Counter(items[place] for fold in found.folds for place in fold)
    assert set(in_folds) == set(range(10)) - set(kept_out) and set(in_folds.values()) == {3}
    assert all({items[place] for place in one}.isdisjoint(items[place] for place in other) for one in found.folds for other in found.folds if one is not other)


def test_the_seed_says_which_pictures_are_kept_out():
    assert parts(pictures(20), seed=1).held_out != parts(pictures(20), seed=2).held_out


def test_draws_of_some_pictures_are_of_these_alone():
    draws = Draws([torch.Size([4, 8, 8])] * 6, 30, 10, seed=0, pictures=[1, 4, 5])
    assert Counter(index for draw in draws for index in draw.indices.tolist()) == {1: 10, 4: 10, 5: 10}


def latents(count: int, changed: tuple[int, ...] = ()) -> TrainingSet:
    fixtures = oracle.numbers("fixtures")
    samples = torch.randn(count, 4, 16, 16, generator=torch.Generator().manual_seed(0))
    for number in changed:
        samples[number] *= -1
    conditioning = [[fixtures["ctx"][None], {"pooled_output": fixtures["pool"][None]}]]
    return TrainingSet.from_latents({"samples": samples}, conditioning)


def run(images: TrainingSet, settings: SearchSettings):
    return search(oracle.sdxl(), None, None, [LoraSource(oracle.LORA_A)], images, settings)


def test_the_search_never_sees_the_pictures_kept_out_and_the_comparison_sees_nothing_else():
    half = replace(QUICK, held_out=0.5)
    kept_out = parts(latents(10), held_out=0.5).held_out
    before, after = run(latents(10), half), run(latents(10, changed=kept_out), half)
    assert before.block_weights[0].values == after.block_weights[0].values
    assert before.comparison.seen == "held out" and before.comparison.pictures == 5
    assert not torch.equal(before.comparison.losses, after.comparison.losses)
    others = run(latents(10, changed=tuple(set(range(10)) - set(kept_out))), half).comparison
    assert torch.equal(before.comparison.losses[1], others.losses[1])  # no LoRA: what was searched does not matter


@pytest.mark.parametrize("method", ["gauss-newton", "adamw"])
def test_losses_of_the_comparison_are_those_of_its_rates(method):
    """By the losses of another search that starts where this one ended."""
    settings = replace(QUICK, method=method, held_out=0.5)
    result = run(latents(10), settings)
    names = [each.name for each in result.comparison.candidates]
    assert names[:4] == ["found", "no LoRA", "strength 1.00", "the start"]
    start = dict(zip(result.block_weights[0].blocks, result.block_weights[0].values))
    source = LoraSource(oracle.LORA_A, start={name: rate for name, rate in start.items() if rate})
    other = search(oracle.sdxl(), None, None, [replace(source, fixed={n: 0.0 for n, rate in start.items() if not rate})], latents(10), settings)
    again = dict(zip([each.name for each in other.comparison.candidates], other.comparison.losses.tolist()))
    assert again["the start"] == pytest.approx(float(result.comparison.losses[0]), rel=1e-5)


def test_a_search_without_held_out_pictures_is_compared_by_folds_and_one_picture_by_itself():
    assert run(latents(4), QUICK).comparison.seen == "in turn"
    few_held_out = run(latents(10), QUICK).comparison
    assert few_held_out.seen == "in turn" and few_held_out.pictures == 10
    assert run(latents(4), replace(QUICK, method="adamw")).comparison.seen == "searched"
    one = run(latents(1), QUICK)
    assert one.comparison.seen == "searched" and "on the one picture that was searched on" in one.verdict.text


def test_without_comparison_there_is_none():
    assert run(latents(4), replace(QUICK, comparison=0)).comparison is None


class TwoKinds:
    """Examples of two kinds with one rate: those of kind 0 want 0.2, those of kind 1 want 1.0; with noise."""

    def __init__(self) -> None:
        self.generator = torch.Generator().manual_seed(0)
        self.best = torch.tensor([0.2, 1.0], dtype=torch.float64)

    def batch(self, place: torch.Tensor, kinds: torch.Tensor) -> Gradients:
        noise = 0.05 * torch.randn(len(kinds), generator=self.generator, dtype=torch.float64)
        off = place - self.best[kinds] + noise
        return Gradients(off.square(), 2 * off[:, None], torch.ones(len(kinds) // 2, 1, dtype=torch.float64))


def test_the_model_without_a_fold_knows_nothing_of_its_pictures():
    world, settings = TwoKinds(), SearchSettings(samples=320, penalty=0.0)
    groups = Groups(PlantedRates(1), settings, folds=[[0], [1]], examples=2)
    for draw in Draws([torch.Size([1])] * 2, 320, 16, seed=0):
        groups.add(torch.tensor([0.5], dtype=torch.float64), world.batch(torch.tensor(0.5), draw.indices), draw)
    without = [float(model.minimum(0.0, model.center)) for model in groups.without_folds()]
    assert without == pytest.approx([1.0, 0.2], abs=0.02)


def test_models_by_thirds_are_of_their_timesteps():
    world, settings = TwoKinds(), SearchSettings(samples=320, penalty=0.0)
    groups = Groups(PlantedRates(1), settings, folds=[], examples=1)
    for draw in Draws([torch.Size([1])], 320, 16, seed=0):
        kinds = (draw.levels >= 2 / 3).long()
        groups.add(torch.tensor([0.5], dtype=torch.float64), world.batch(torch.tensor(0.5), kinds), draw)
    thirds = [float(model.place - model.gradient / model.curvature) for model in groups.by_thirds()]
    assert thirds == pytest.approx([0.2, 0.2, 1.0], abs=0.02)

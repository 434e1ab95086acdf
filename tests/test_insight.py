"""What blocks do on the oracle's tiny SDXL: measured by losses, against the search's own model, in results and by groups of pictures."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image

from appl_search import (
    LoraSource,
    SearchResult,
    SearchSettings,
    TrainingOptions,
    TrainingSet,
    evaluate,
    open_search,
    read_training_set,
    search,
)
from appl_search.comparing.ablation import OFF, ON, TARGETS
from appl_search.images.groups import groups_of
from tests import oracle

QUICK = SearchSettings(samples=32, batch_size=8, tolerance=0.0, comparison=0)
SOURCES = [LoraSource(oracle.LORA_A), LoraSource(oracle.LORA_B)]


def found(settings: SearchSettings, sources=SOURCES[:1], **more) -> SearchResult:
    return search(oracle.sdxl(), None, None, sources, oracle.training_set(), settings, **more)


@pytest.fixture(scope="module")
def measured() -> SearchResult:
    return found(replace(QUICK, samples=16, ablation=16))


def test_a_measured_rise_is_the_difference_of_losses_of_the_changed_block_weights(measured):
    """By evaluate(), on other draws: within the intervals, for nearly all blocks."""
    ablation, (weights,) = measured.ablation, measured.block_weights
    assert ablation.is_measured and ablation.samples == 16 and ablation.pictures == 6
    wanted = [(unit, target) for unit in (0, len(ablation.units) - 1) for target in (OFF, ON)]
    candidates = [list(weights.values) for _ in range(1 + len(wanted))]
    for candidate, (unit, target) in zip(candidates[1:], wanted):
        candidate[ablation.units[unit].blocks[0]] = TARGETS[target]
    losses = evaluate(
        oracle.sdxl(), None, None, SOURCES[:1], oracle.training_set(), [[candidate] for candidate in candidates], replace(QUICK, samples=36, seed=7)
    )
    apart = (losses[1:] - losses[0]).mean(1).tolist()
    hits = [ablation.low[unit, target, 0] <= known <= ablation.high[unit, target, 0] for (unit, target), known in zip(wanted, apart)]
    assert sum(hits) >= 3
    assert max(apart) > 0.003 * float(losses[0].mean()), "there is something to find"


def test_the_slope_of_the_models_rise_is_that_of_measured_losses():
    """Finite differences of losses of the very draws that the model was made of, in each third of the timesteps."""
    task = oracle.task(oracle.sdxl(), SOURCES[:1], replace(QUICK, samples=12, batch_size=12))
    with open_search(task) as run:
        draw, start = run._draws.current(), run._rates.start
        next(run)
        for parameter in (0, 5):
            step = torch.zeros_like(start)
            step[parameter] = 0.01
            below, above = (run._losses(draw, run._rates.all_rates(w)) for w in (start - step, start + step))
            for third, model in enumerate(run._groups.by_thirds()):
                among = (draw.levels * 3).long() == third
                apart = model.rise(start, start + step)[0] - model.rise(start, start - step)[0]
                assert apart == pytest.approx(float((above - below)[among].mean()), rel=0.02, abs=1e-6)


def test_by_default_the_model_says_what_blocks_do_and_it_survives_json():
    result = found(QUICK, SOURCES)
    ablation, likeness = result.ablation, result.likeness
    assert not ablation.is_measured and [group.name for group in ablation.groups] == ["all", "details", "form", "composition"]
    searched = [(lora, block) for lora, weights in enumerate(result.block_weights) for block, there in enumerate(weights.present) if there]
    assert [(unit.lora, *unit.blocks) for unit in ablation.units] == searched == [(unit.lora, *unit.blocks) for unit in likeness.units]
    weights = torch.tensor([group.share for group in ablation.groups[1:]], dtype=torch.float64)
    torch.testing.assert_close(ablation.rise[..., 0], ablation.rise[..., 1:] @ weights)
    again = SearchResult.from_json(result.to_json())
    assert again.to_json() == result.to_json() and torch.equal(again.ablation.rise, ablation.rise)
    other = result.at_penalty(1e-3)
    assert other.ablation is None and other.likeness is None


def test_adamw_has_no_model_so_blocks_are_measured_or_not_known():
    adamw = replace(QUICK, method="adamw", samples=8, validation=0)
    assert found(adamw).ablation is None
    assert found(replace(adamw, ablation=8), [replace(SOURCES[0], tie="sections")]).ablation.is_measured


def test_too_few_samples_for_an_interval_are_said():
    images = TrainingSet(oracle.training_set().items[:3])
    result = search(oracle.sdxl(), None, None, SOURCES[:1], images, replace(QUICK, samples=8, ablation=3))
    assert result.ablation is None and any("ablation is 3, which is too few samples for 3 images" in note for note in result.notes)


def test_one_lora_twice_is_alike_in_each_block(tmp_path):
    """The same file twice: each block does what its other one does."""
    copy = tmp_path / "copy.safetensors"
    copy.write_bytes(oracle.LORA_A.read_bytes())
    likeness = found(replace(QUICK, samples=16), [SOURCES[0], LoraSource(copy)]).likeness
    half = len(likeness.units) // 2
    assert likeness.cosine.diagonal(half).tolist() == pytest.approx([1.0] * half, abs=1e-3)
    assert likeness.error.diagonal(half).max() < 5e-3


def test_tied_blocks_are_one_and_fixed_ones_none():
    source = replace(SOURCES[0], tie="sections", fixed={"IN07": 0.25})
    result = found(replace(QUICK, samples=16), [source])
    blocks = result.block_weights[0].blocks
    named = [unit.name(["a"], blocks) for unit in result.ablation.units]
    assert named == ["IN04, IN05 and IN08", "MID", "OUT00, OUT01 and 4 more"]
    assert blocks.index("IN07") not in result.ablation.units[0].blocks


def pictures(folder: Path, count: int, caption: str | None = None) -> None:
    folder.mkdir(parents=True)
    for number in range(count):
        Image.new("RGB", (64, 64), (number, 0, 0)).save(folder / f"{number}.png")
        if caption is not None:
            (folder / f"{number}.txt").write_text(caption, encoding="utf-8")


def test_pictures_are_grouped_by_folder_then_by_caption_then_each_by_itself(tmp_path):
    pictures(tmp_path / "set" / "ink", 2, "a cat")
    pictures(tmp_path / "set" / "oil", 3, "a cat")
    assert groups_of(read_training_set(tmp_path / "set")) == [("ink", (0, 1)), ("oil", (2, 3, 4))]
    images = torch.rand(4, 64, 64, 3, generator=torch.Generator().manual_seed(0))
    by_caption = TrainingSet.from_images(images, ["a cat", "a dog", "a cat", ""])
    regular = TrainingSet.from_images(images, "a cat", options=TrainingOptions(regularisation=True))
    assert groups_of(by_caption + regular) == [("a cat", (0, 2)), ("a dog", (1,)), ("no caption", (3,))]
    alone = TrainingSet.from_images(images, ["a cat", "a dog", "a cow", "a fox"])
    assert [name for name, _ in groups_of(alone)] == [f"training image {number}" for number in range(1, 5)]
    many = TrainingSet.from_images(images.repeat(3, 1, 1, 1), [f"caption {number}" for number in range(12)])
    assert groups_of(many) == [] == groups_of(TrainingSet(alone.items[:1]))


def test_a_block_is_measured_for_each_group_of_pictures():
    fixtures = oracle.numbers("fixtures")
    latents = TrainingSet.from_latents({"samples": fixtures["latents_raw"][:3]}, oracle.conditioning())
    result = search(oracle.sdxl(), None, None, SOURCES[:1], latents, replace(QUICK, samples=8, ablation=15))
    groups = result.ablation.groups
    assert [group.name for group in groups[4:]] == ["latent 1", "latent 2", "latent 3"]
    assert [group.share for group in groups[4:]] == pytest.approx([1 / 3] * 3)
    torch.testing.assert_close(result.ablation.rise[..., 4:].mean(-1), result.ablation.rise[..., 0])

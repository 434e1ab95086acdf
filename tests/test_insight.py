"""What blocks do on the oracle's tiny SDXL: measured by losses, against the search's own model, in results and by groups of pictures."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image

from appl_search import LoraSource, SearchResult, SearchSettings, TrainingOptions, TrainingSet, evaluate, open_search, read_training_set, search
from appl_search.comparing.ablation import OFF, ON
from appl_search.images.groups import groups_of
from tests import oracle

QUICK = SearchSettings(samples=32, batch_size=8, tolerance=0.0, comparison=0)
SOURCES = [LoraSource(oracle.LORA_A), LoraSource(oracle.LORA_B)]


def found(settings: SearchSettings, sources=SOURCES[:1], **more) -> SearchResult:
    return search(oracle.sdxl(), None, None, sources, oracle.training_set(), settings, **more)


@pytest.fixture(scope="module")
def measured() -> SearchResult:
    return found(replace(QUICK, ablation=24))


def changed(result: SearchResult, unit: int, rate: float) -> list[list[list[float]]]:
    """Block weights with one unit at another rate, as evaluate() takes them."""
    (weights,) = result.block_weights
    values = list(weights.values)
    for block in result.ablation.units[unit].blocks:
        values[block] = rate
    return [[list(weights.values)], [values]]


def test_a_measured_rise_is_the_difference_of_losses_on_many_other_draws(measured):
    """The intervals hold what evaluate() says of 96 samples, for nearly all blocks."""
    ablation = measured.ablation
    assert ablation.is_measured and ablation.samples == 24 and ablation.pictures == 6
    hits = []
    for unit in (0, len(ablation.units) - 1):
        for target, rate in ((OFF, 0.0), (ON, 1.0)):
            losses = evaluate(
                oracle.sdxl(), None, None, SOURCES[:1], oracle.training_set(), changed(measured, unit, rate), replace(QUICK, samples=96, seed=7)
            )
            apart = float((losses[1] - losses[0]).mean())
            hits.append(abs(float(ablation.rise[unit, target, 0]) - apart) <= 1.5 * float(ablation.error[unit, target, 0]))
    assert sum(hits) >= 3


def test_the_models_rise_is_the_measured_one_for_small_moves():
    """Finite differences of losses that were measured on the very draws that the model was made of."""
    task = oracle.task(oracle.sdxl(), SOURCES[:1], replace(QUICK, samples=24, batch_size=24))
    with open_search(task) as run:
        next(run)
        thirds, rates = run._groups.by_thirds(), run._rates
        run._draws.position = 0
        draw = run._draws.current()
        for parameter in range(0, len(rates), 3):
            step = torch.zeros(len(rates), dtype=torch.float64)
            step[parameter] = 0.02
            for sign in (1, -1):
                losses = [run._losses(draw, rates.all_rates(w)) for w in (rates.start, rates.start + sign * step)]
                apart = losses[1] - losses[0]
                for number, model in enumerate(thirds):
                    among = (draw.levels * 3).long() == number
                    rise, _ = model.rise(rates.start, rates.start + sign * step)
                    assert rise == pytest.approx(float(apart[among].mean()), rel=0.2, abs=2e-6)


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
    assert found(replace(adamw, ablation=12)).ablation.is_measured


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


@pytest.mark.parametrize(
    "field, value, message",
    [
        ("units", [[0]], "ablation.units[0] is a list of 1, expected a list of a LoRA's number and those of its blocks"),
        ("units", [[1, 4]], "ablation.units[0][0] is 1, expected a whole number from 0 to 0"),
        ("groups", [], "ablation.groups is a list of 0"),
        ("is_measured", 1, "ablation.is_measured is 1, expected true or false"),
        ("losses", [], "ablation.losses is a list of 0, expected a list of 4"),
        ("whole", [[0.0] * 4] * 2, "ablation.whole is a list of 2, expected a list of 1"),
    ],
)
def test_a_damaged_ablation_is_refused_by_its_field(measured, field, value, message):
    data = json.loads(found_text(measured))
    data["ablation"][field] = value
    with pytest.raises(ValueError) as error:
        SearchResult.from_json(json.dumps(data))
    assert message in str(error.value)


def found_text(result: SearchResult) -> str:
    """With the groups of timesteps alone."""
    data = json.loads(result.to_json())
    ablation = data["ablation"]
    ablation["groups"], ablation["losses"] = ablation["groups"][:4], ablation["losses"][:4]
    for name in ("rise", "error"):
        ablation[name] = [[row[:4] for row in unit] for unit in ablation[name]]
    for name in ("whole", "whole_error"):
        ablation[name] = [row[:4] for row in ablation[name]]
    return json.dumps(data)


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
    result = search(oracle.sdxl(), None, None, SOURCES[:1], latents, replace(QUICK, samples=8, ablation=30))
    groups = result.ablation.groups
    assert [group.name for group in groups[4:]] == ["latent 1", "latent 2", "latent 3"]
    assert [group.share for group in groups[4:]] == pytest.approx([1 / 3] * 3)
    torch.testing.assert_close(result.ablation.rise[..., 4:].mean(-1), result.ablation.rise[..., 0])

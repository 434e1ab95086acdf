"""Pictures with blocks off and alone: as ComfyUI's own loader and sampler make them, kept, found again, and identical."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import comfy.model_management
import comfy.sample
import comfy.sd
import comfy.utils
import pytest
import torch

from appl_search import BlockWeights, LoraSource, Models, PreviewSettings, demo
from appl_search.architectures import ARCHITECTURES
from appl_search.exploring import explore as explore_module
from appl_search.exploring.exploration import Exploration
from appl_search.exploring.explore import ExplorerTask, explore
from appl_search.exploring.variants import BOTH
from appl_search.host.conditioning import as_conditioning, encode_caption
from appl_search.host.errors import ModelError
from appl_search.host.learnable import add_learnable
from appl_search.host.lora_loading import load

CHARACTER, STYLE = demo.lora_paths()["character"], demo.lora_paths()["style"]
PICTURES = PreviewSettings("a large blue striped zibby", negative="red", width=64, height=64, steps=2, cfg=3.0, seed=7)
IN04 = "input_blocks_4"


@pytest.fixture(scope="module")
def models() -> Models:
    model, clip, vae = demo.load_tiny_sdxl()
    return Models(model=model, clip=clip, vae=vae)


def task(models: Models, path: Path = CHARACTER, strength: float = 1.0, **more) -> ExplorerTask:
    source = LoraSource(path)
    weights = BlockWeights.for_lora(source, {})
    weights = replace(weights, values=tuple(rate * strength for rate in weights.values))
    return ExplorerTask(**{"models": models, "source": source, "weights": weights, "pictures": PICTURES, "blocks": [5, 12], **more})


def by_label(found: Exploration) -> dict[str, torch.Tensor]:
    return {shown.label: shown.pixels for shown in found.pictures}


def assert_same(one: Exploration, other: Exploration) -> None:
    first, second = by_label(one), by_label(other)
    assert first.keys() == second.keys()
    for label, pixels in first.items():
        assert torch.equal(pixels, second[label]), label


@pytest.fixture
def samplings(monkeypatch) -> list[int]:
    """The seeds of the sampler's runs."""
    runs: list[int] = []
    sample = comfy.sample.sample
    monkeypatch.setattr(comfy.sample, "sample", lambda *args, **more: (runs.append(more["seed"]), sample(*args, **more))[1])
    return runs


def of_the_host(models: Models, tensors: dict[str, torch.Tensor], strength: float = 1.0) -> torch.Tensor:
    """The picture that ComfyUI makes with its own loader of these tensors, its text encoding and its KSampler."""
    model, clip = comfy.sd.load_lora_for_models(models.model, models.clip, tensors, strength, strength)
    positive, negative = ([[*reversed_pair(clip.encode_from_tokens(clip.tokenize(text), return_pooled=True))]] for text in (PICTURES.prompt, PICTURES.negative))
    empty = torch.zeros(1, 4, 8, 8)
    noise = comfy.sample.prepare_noise(empty, PICTURES.seed)
    latent = comfy.sample.sample(model, noise, 2, 3.0, "euler", "normal", positive, negative, empty, seed=PICTURES.seed)
    return (models.vae.decode(latent)[0].clamp(0, 1) * 255).round().byte()


def reversed_pair(encoded) -> tuple:
    return encoded[0], {"pooled_output": encoded[1]}


def test_pictures_are_those_of_comfyui_s_own_loader_with_the_block_s_keys_taken_out_or_alone(models, tmp_path):
    found = by_label(explore(task(models, mode=BOTH), tmp_path))
    tensors = comfy.utils.load_torch_file(str(CHARACTER))
    of_block = {key: tensor for key, tensor in tensors.items() if IN04 in key}
    expected = {
        "all blocks": tensors,
        "no LoRA": {},
        "IN04 off": {key: tensor for key, tensor in tensors.items() if key not in of_block},
        "IN04 alone": of_block,
    }
    assert list(found) == ["all blocks", "no LoRA", "IN04 off", "OUT01 off", "IN04 alone", "OUT01 alone"]
    for label, kept in expected.items():
        assert torch.equal(found[label], of_the_host(models, kept)), label
    assert len({pixels.numpy().tobytes() for pixels in found.values()}) == len(found)


def test_base_is_explored_through_the_clip(models, tmp_path):
    found = by_label(explore(task(models, blocks=[0]), tmp_path))
    tensors = comfy.utils.load_torch_file(str(CHARACTER))
    assert torch.equal(found["BASE off"], of_the_host(models, {key: tensor for key, tensor in tensors.items() if not key.startswith("lora_te")}))
    assert not torch.equal(found["BASE off"], found["all blocks"])


def test_block_weights_and_strength_count(models, tmp_path):
    found = by_label(explore(task(models, strength=0.6, blocks=[5]), tmp_path))
    assert torch.equal(found["all blocks"], of_the_host(models, comfy.utils.load_torch_file(str(CHARACTER)), 0.6))


def test_a_block_without_keys_changes_nothing_and_is_not_sampled(models, tmp_path, samplings):
    found = explore(task(models, mode=BOTH, blocks=[1]), tmp_path)
    assert len(samplings) == found.sampled == 2
    pictures = by_label(found)
    assert torch.equal(pictures["IN00 off"], pictures["all blocks"]) and torch.equal(pictures["IN00 alone"], pictures["no LoRA"])
    assert all(found.counted(effect).pixels == 0 and found.counted(effect).ssim == 1 for effect in found.effects if effect.shown.variant.block == 1)


def test_without_a_list_all_blocks_that_act_are_explored(models, tmp_path, monkeypatch):
    stub(monkeypatch)
    weights = BlockWeights.for_lora(LoraSource(CHARACTER), {"IN05": 0.0})
    found = explore(task(models, weights=weights, blocks=None), tmp_path)
    explored = [shown.label for shown in found.pictures[2:]]
    assert explored == [f"{name} off" for name, rate in weights.items() if rate]
    assert "IN05 off" not in explored and "IN00 off" not in explored


def test_a_second_run_samples_nothing_not_even_with_models_that_were_loaded_anew(models, tmp_path, samplings):
    first = explore(task(models), tmp_path)
    assert len(samplings) == first.sampled == 4
    model, clip, vae = demo.load_tiny_sdxl()
    second = explore(task(Models(model=model, clip=clip, vae=vae)), tmp_path)
    assert len(samplings) == 4 and (second.sampled, second.found) == (0, 4)
    assert_same(first, second)


def test_only_what_is_new_is_sampled(models, tmp_path, samplings):
    explore(task(models), tmp_path)
    explore(task(models, blocks=[5, 6, 12]), tmp_path)
    assert len(samplings) == 5


def test_after_a_cancel_it_goes_on_and_gives_the_same_pictures(models, tmp_path, samplings):
    whole = explore(task(models), tmp_path / "whole")

    def cancel(step: int, *_) -> None:
        comfy.model_management.interrupt_current_processing(step == 5)  # in the middle of the third of four pictures

    with pytest.raises(comfy.model_management.InterruptProcessingException):
        explore(task(models), tmp_path / "cut", cancel)
    assert len(samplings) == 4 + 3 and len(list((tmp_path / "cut").glob("*.png"))) == 2
    resumed = explore(task(models), tmp_path / "cut")
    assert (resumed.sampled, resumed.found) == (2, 2)
    assert_same(resumed, whole)


def test_steps_are_counted_over_all_pictures_that_are_missing(models, tmp_path):
    told: list[tuple[int, int]] = []
    explore(task(models, blocks=[5]), tmp_path, lambda step, steps, x0: told.append((step, steps, *x0.shape)))
    assert told == [(step, 6, 1, 4, 8, 8) for step in range(1, 7)]


def test_models_come_back_unchanged(tmp_path):
    model, clip, vae = demo.load_tiny_sdxl()
    model, clip = comfy.sd.load_lora_for_models(model, clip, comfy.utils.load_torch_file(str(CHARACTER)), 0.5, 0.5)
    patchers = (model, clip.patcher)
    comfy.model_management.unload_all_models()
    weights = [{key: weight.clone() for key, weight in patcher.model.state_dict().items()} for patcher in patchers]
    patches = [{key: list(entries) for key, entries in patcher.patches.items()} for patcher in patchers]
    explore(task(Models(model=model, clip=clip, vae=vae)), tmp_path)
    comfy.model_management.unload_all_models()
    for patcher, before, there in zip(patchers, weights, patches):
        assert all(torch.equal(weight, before[key]) for key, weight in patcher.model.state_dict().items())
        assert {key: list(entries) for key, entries in patcher.patches.items()} == there


@pytest.mark.parametrize("loader", ["stock", "learnable"])
def test_a_lora_that_is_on_the_models_already_is_not_there_twice(models, tmp_path, loader, samplings):
    expected = explore(task(models), tmp_path)
    if loader == "stock":
        model, clip = comfy.sd.load_lora_for_models(models.model, models.clip, comfy.utils.load_torch_file(str(CHARACTER)), 0.7, 0.7)
    else:
        start = dict.fromkeys(ARCHITECTURES["sdxl"].blocks, 0.7)
        model, clip = add_learnable(models.model, models.clip, load(LoraSource(CHARACTER, start=start), models.model, models.clip))
    found = explore(task(Models(model=model, clip=clip, vae=models.vae)), tmp_path)
    assert found.sampled == 0 and len(samplings) == 4
    assert_same(found, expected)
    assert "at strength 0.7" in found.notes[-1] and not expected.notes


def test_another_lora_on_the_models_stays(models, tmp_path, samplings):
    model, clip = comfy.sd.load_lora_for_models(models.model, models.clip, comfy.utils.load_torch_file(str(STYLE)), 0.7, 0.7)
    explore(task(models), tmp_path)
    found = explore(task(Models(model=model, clip=clip, vae=models.vae)), tmp_path)
    assert found.sampled == 4 and not found.notes
    assert torch.equal(by_label(found)["no LoRA"], of_the_host(replace(models, model=model, clip=clip), {}))


def test_with_conditioning_the_text_encoders_are_left_alone_and_base_is_not_explored(models, tmp_path):
    positive, negative = (as_conditioning(*encode_caption(models.clip, text)) for text in (PICTURES.prompt, PICTURES.negative))
    found = explore(task(replace(models, clip=None), pictures=replace(PICTURES, prompt="", negative=""), conditioning=(positive, negative), blocks=None), tmp_path)
    assert "BASE off" not in by_label(found) and any("text-encoder part (block BASE)" in note for note in found.notes)
    assert torch.equal(by_label(found)["no LoRA"], of_the_host(models, {}))


def test_a_damaged_picture_is_made_anew(models, tmp_path, samplings):
    first = explore(task(models), tmp_path)
    path = next(tmp_path.glob("*.png"))
    path.write_bytes(path.read_bytes()[:200])
    assert explore(task(models), tmp_path).sampled == 1
    assert_same(explore(task(models), tmp_path), first)


def test_without_room_on_the_disk_it_goes_on_and_says_so(models, tmp_path, caplog):
    (tmp_path / "a file").touch()
    found = explore(task(models), tmp_path / "a file")
    assert found.sampled == 4 and len([record for record in caplog.records if "cannot be kept" in record.message]) == 1


def stub(monkeypatch) -> None:
    """No picture is sampled: for tests of what would be."""
    monkeypatch.setattr(explore_module, "sample_as_ksampler", lambda *_: torch.zeros(4, 8, 8))
    monkeypatch.setattr(explore_module, "decode", lambda *_: torch.zeros(64, 64, 3))


@pytest.mark.parametrize(
    "change",
    [
        {"prompt": "a small zibby"}, {"negative": "blue"}, {"seed": 8}, {"steps": 3}, {"cfg": 3.5}, {"sampler": "ddim"}, {"scheduler": "karras"},
        {"width": 72}, {"height": 72},
    ],
    ids=lambda change: next(iter(change)),
)  # fmt: skip
def test_pictures_of_other_settings_are_others(models, tmp_path, monkeypatch, change):
    stub(monkeypatch)
    explore(task(models), tmp_path)
    assert explore(task(models, pictures=replace(PICTURES, **change)), tmp_path).found == 0


def test_pictures_at_another_strength_are_others_but_for_the_one_without_the_lora(models, tmp_path, monkeypatch):
    stub(monkeypatch)
    explore(task(models), tmp_path)
    assert explore(task(models, strength=0.9), tmp_path).found == 1


def test_how_pictures_are_compared_takes_no_new_ones(models, tmp_path, samplings):
    for compared_with in ("what fits", "all blocks", "no LoRA"):
        found = explore(task(models, mode=BOTH, blocks=[5], compared_with=compared_with), tmp_path)
        references = [found.reference(shown.variant) for shown in found.pictures[2:]]
        assert references == {"what fits": ["all blocks", "no LoRA"]}.get(compared_with, [compared_with] * 2)
    assert len(samplings) == 4


def test_bad_input_is_refused(models, tmp_path):
    with pytest.raises(ModelError, match="no CLIP for the prompts"):
        explore(task(replace(models, clip=None)), tmp_path)
    with pytest.raises(ValueError, match="Nothing of LoRA character acts here"):
        explore(task(models, strength=0.0), tmp_path)
    with pytest.raises(ValueError, match="mode is 'none', expected one of each block off"):
        explore(task(models, mode="none"), tmp_path)
    with pytest.raises(ValueError, match="sampler is 'magic', expected one of euler"):
        explore(task(models, pictures=replace(PICTURES, sampler="magic")), tmp_path)
    with pytest.raises(ValueError, match="compared_with is 'me', expected one of what fits"):
        explore(task(models, compared_with="me"), tmp_path)

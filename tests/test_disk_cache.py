"""A search on what was encoded before finds the same, and encodes nothing; each is encoded once, however long the search."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from appl_search import LoraSource, Models, SearchSettings, Task, TrainingOptions, open_search, read_training_set
from appl_search.cli.main import main
from appl_search.demo import load_tiny_sdxl, lora_paths
from appl_search.host import conditioning
from appl_search.searching.state import describe
from tests.cli import shell

ON_DISK = TrainingOptions(disk_cache=True)
SETTINGS = SearchSettings(samples=30, batch_size=10, check_gradient=False)  # the demo's ten pictures, three times


@pytest.fixture
def encoded(monkeypatch) -> dict[str, int]:
    """How many images and captions were encoded so far."""
    counts = {"encode_image": 0, "encode_caption": 0}
    for name in counts:
        function = getattr(conditioning, name)

        def counted(*given, _name=name, _function=function):
            counts[_name] += 1
            return _function(*given)

        monkeypatch.setattr(conditioning, name, counted)
    return counts


def task(folder, lora="style", options=ON_DISK, fixed=None, settings=SETTINGS) -> Task:
    model, clip, vae = load_tiny_sdxl()
    images = read_training_set(shell.IMAGES, options, cache_folder=folder)
    source = LoraSource(lora_paths()[lora], fixed=fixed or {})
    return Task(models=Models(model=model, clip=clip, vae=vae), loras=[source], images=images, settings=settings, cache_folder=folder)


def found(given: Task) -> torch.Tensor:
    with open_search(given) as run:
        for _ in run:
            pass
        return torch.tensor([weights.values for weights in run.finish().block_weights])


def begin(given: Task) -> None:
    with open_search(given):
        pass


def test_an_epoch_after_the_first_encodes_nothing(encoded, tmp_path):
    with open_search(task(tmp_path, options=TrainingOptions())) as run:
        after = [dict(encoded) for _ in run]
    captions = len({item.caption for item in run.task.images.items})
    assert len(run.task.images) == 10 and after == [{"encode_image": 10, "encode_caption": captions}] * 3


def test_the_second_search_encodes_nothing_and_finds_the_same_bit_for_bit(encoded, tmp_path):
    plain = found(task(tmp_path, options=TrainingOptions()))
    assert not list(tmp_path.iterdir())
    first = found(task(tmp_path))
    encoded.update(encode_image=0, encode_caption=0)
    second = found(task(tmp_path))
    assert encoded == {"encode_image": 0, "encode_caption": 0}
    assert torch.equal(plain, first) and torch.equal(first, second)


def test_searched_text_encoders_are_asked_as_ever_and_those_that_are_fixed_are_not(encoded, tmp_path):
    for lora, fixed, images, captions in (
        ("style", None, True, True),
        ("character", None, False, True),  # BASE is searched: its captions change while it is
        ("character", None, False, True),
        ("character", {"BASE": 0.0}, False, True),
        ("character", {"BASE": 0.0}, False, False),
        ("character", {"BASE": 0.5}, False, True),
        ("character", {"BASE": 0.5}, False, False),
        ("character", {"BASE": 0.25}, False, True),
    ):
        encoded.update(encode_image=0, encode_caption=0)
        begin(task(tmp_path, lora, fixed=fixed))
        assert (encoded["encode_image"] > 0, encoded["encode_caption"] > 0) == (images, captions), (lora, fixed)


def test_a_search_goes_on_whether_or_not_the_cache_is_used(tmp_path):
    assert describe(task(tmp_path)) == describe(task(tmp_path, options=TrainingOptions()))
    assert describe(task(tmp_path)) != describe(task(tmp_path, options=replace(ON_DISK, flip=True)))


def test_from_a_shell_by_our_option_and_by_the_scripts(encoded, tmp_path):
    cache = ["--cache-folder", tmp_path / "cache"]
    assert shell.search(tmp_path / "one", "--cache_latents", "--cache_latents_to_disk", *cache) == 0
    assert list((tmp_path / "cache").iterdir())
    encoded.update(encode_image=0, encode_caption=0)
    assert shell.search(tmp_path / "two", "--disk-cache", *cache) == 0
    assert encoded == {"encode_image": 0, "encode_caption": 0}
    assert main(["search", "--no-disk-cache", "--cache_text_encoder_outputs_to_disk=1"]) == 2

"""What is encoded once is on disk for the next time, and never taken for anything else."""

from __future__ import annotations

import os
import threading
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import save_file

from appl_search import TrainingOptions, TrainingSet, read_training_set
from appl_search.images import folder as folder_module
from appl_search.images.cache import CacheError, DiskCache
from appl_search.images.encoding import encode
from appl_search.images.files import look_at
from tests.images.encoders import PlainEncoders
from tests.images.test_folder import picture

ON_DISK = TrainingOptions(disk_cache=True)
SQUARE = {"width": 64, "height": 64, "buckets": False}


@pytest.fixture
def pictures(tmp_path) -> Path:
    """Two pictures with captions, one of them with a mask."""
    for name, colour in (("a", (200, 0, 0)), ("b", (0, 200, 0))):
        picture(tmp_path / "pictures" / f"{name}.png", (72, 64), colour)
        (tmp_path / "pictures" / f"{name}.txt").write_text(f"a {name}", encoding="utf-8")
    mask = Image.new("L", (72, 64), 0)
    mask.paste(255, (32, 0, 72, 64))
    mask.save(tmp_path / "pictures" / "b.mask.png")
    return tmp_path / "pictures"


@pytest.fixture
def cache(tmp_path) -> DiskCache:
    return DiskCache(tmp_path / "cache")


def read(folder: Path, options=ON_DISK) -> TrainingSet:
    return read_training_set(folder, options, cache_folder=folder.parent / "cache")


def again(training_set: TrainingSet, cache: DiskCache, **keys) -> tuple[int, int]:
    """How many pictures and captions are encoded now."""
    encoders = PlainEncoders(**keys)
    encode(training_set, encoders, cache=cache)
    return len(encoders.images), len(encoders.captions)


def files(cache: DiskCache, tensor: str) -> list[Path]:
    """Of the entries that have such a tensor."""
    return [path for path in sorted(cache.folder.glob("*.safetensors")) if tensor in safe_open(path, "pt").keys()]


def test_the_second_time_nothing_is_encoded_and_everything_is_the_same(pictures, cache):
    training_set = read(pictures)
    assert again(training_set, cache) == (2, 2)
    encoders = PlainEncoders()
    kept = encode(read(pictures), encoders, cache=cache)
    assert (encoders.images, encoders.captions) == ([], [])
    plain = encode(read(pictures, TrainingOptions()), PlainEncoders())
    for index in range(2):
        one, other = kept.of(index, 0), plain.of(index, 0)
        for name in ("latent", "context", "pooled", "mask"):
            torch.testing.assert_close(getattr(one, name), getattr(other, name), rtol=0, atol=0)
        assert (one.sizes, one.caption, one.name, one.weight) == (other.sizes, other.caption, other.name, other.weight)
    assert kept.of(1, 0).mask is not None


def test_without_the_option_nothing_is_written(pictures, cache):
    assert again(read(pictures, TrainingOptions()), cache) == (2, 2)
    assert not cache.folder.exists()


def test_a_picture_that_has_changed_is_encoded_anew_even_when_its_size_and_time_have_not(pictures, cache):
    path = picture(pictures / "c.bmp", (72, 64))
    again(read(pictures), cache)
    before = path.stat()
    picture(path, (72, 64), (100, 100, 100))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size and path.stat().st_mtime_ns == before.st_mtime_ns
    assert again(read(pictures), cache) == (1, 0)


@pytest.mark.parametrize(
    "change, encoded",
    [
        (lambda folder: picture(folder / "b.mask.png", (72, 64), 255, "L"), 1),
        (lambda folder: (folder / "b.mask.png").unlink(), 1),
        (lambda folder: (folder / "a.png").rename(folder / "c.png"), 0),
    ],
)
def test_a_mask_counts_and_a_name_does_not(change, encoded, pictures, cache):
    again(read(pictures), cache)
    change(pictures)
    assert again(read(pictures), cache)[0] == encoded


@pytest.mark.parametrize(
    "options", [SQUARE, {"alpha": "black"}, {"flip": True, "variants": 30}, {**SQUARE, "random_crop": True, "variants": 30}]
)
def test_what_is_done_to_pictures_counts(options, pictures, cache):
    again(read(pictures), cache)
    changed = read(pictures, replace(ON_DISK, **options))
    assert again(changed, cache)[0] > 0 and again(changed, cache) == (0, 0)


def test_other_encoders_find_nothing_of_these(pictures, cache):
    training_set = read(pictures)
    again(training_set, cache)
    assert again(training_set, cache, vae="another") == (2, 0)
    assert again(training_set, cache, clip="another") == (0, 2)
    assert again(read(pictures, replace(ON_DISK, max_tokens=75)), cache) == (0, 2)


def test_encoders_without_a_key_are_asked_each_time(pictures, cache):
    training_set = read(pictures)
    again(training_set, cache)
    assert again(training_set, cache, vae=None, clip=None) == (2, 2)


def test_pictures_in_memory_count_by_their_pixels(cache):
    images = torch.rand(2, 64, 64, 3, generator=torch.Generator().manual_seed(0))
    assert again(TrainingSet.from_images(images, "x", options=ON_DISK), cache) == (2, 1)
    assert again(TrainingSet.from_images(images.clone(), "x", options=ON_DISK), cache) == (0, 0)
    images[1, 5, 5] += 0.001
    assert again(TrainingSet.from_images(images, "x", options=ON_DISK), cache) == (1, 0)


def test_equal_pictures_and_captions_of_other_searches_are_shared(pictures, cache, tmp_path):
    again(read(pictures), cache)
    picture(tmp_path / "others" / "z.png", (72, 64), (200, 0, 0))
    (tmp_path / "others" / "z.txt").write_text("a b", encoding="utf-8")
    assert again(read_training_set(tmp_path / "others", ON_DISK, cache_folder=cache.folder), cache) == (0, 0)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-8])


def flip_a_bit(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-3] ^= 1
    path.write_bytes(data)


def of_another(path: Path) -> None:
    with safe_open(path, "pt") as file:
        metadata = file.metadata()["appl_search"].replace('"flipped": false', '"flipped": true')
        save_file({name: file.get_tensor(name) for name in file.keys()}, path.with_suffix(".new"), {"appl_search": metadata})
    path.with_suffix(".new").rename(path)


@pytest.mark.parametrize("damage", [cut, flip_a_bit, of_another, lambda path: path.write_bytes(b""), lambda path: save_file({}, path)])
def test_a_damaged_entry_is_named_and_made_anew(damage, pictures, cache, caplog):
    training_set = read(pictures)
    again(training_set, cache)
    path = files(cache, "latent")[0]
    damage(path)
    assert again(training_set, cache) == (1, 0)
    assert f"{path} is damaged" in caplog.text and "made anew" in caplog.text
    assert again(training_set, cache) == (0, 0)


def test_what_is_damaged_while_a_search_runs_is_an_error_that_names_the_file(pictures, cache):
    examples = encode(read(pictures), PlainEncoders(), cache=cache)
    for path in files(cache, "latent"):
        path.unlink()
    with pytest.raises(CacheError, match=r"safetensors was removed or damaged while the search ran .* search again"):
        examples.of(0, 0)


def test_a_folder_that_cannot_be_written_is_said_once_and_memory_serves(pictures, tmp_path, caplog):
    (tmp_path / "cache").write_text("a file is in the way")
    cache = DiskCache(tmp_path / "cache")
    examples = encode(read_training_set(pictures, ON_DISK, cache_folder=tmp_path / "elsewhere"), PlainEncoders(), cache=cache)
    assert examples.of(1, 0).latent.shape == (3, 64, 72)
    assert caplog.text.count("cannot be written") == 1 and "nothing is kept there" in caplog.text


def test_those_who_write_at_once_lose_nothing(pictures, tmp_path):
    """Each of them has all entries at the end, and no half of a file is ever seen."""
    training_set = read(pictures, replace(ON_DISK, flip=True, shuffle=True, variants=20))
    failed = []

    def work():
        try:
            encode(training_set, PlainEncoders(), cache=DiskCache(tmp_path / "cache"))
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == [] and again(training_set, DiskCache(tmp_path / "cache")) == (0, 0)
    assert not [path for path in (tmp_path / "cache").iterdir() if path.suffix != ".safetensors"]


def test_pictures_that_were_seen_once_are_not_decoded_to_see_them_again(pictures, monkeypatch):
    first = read(pictures)
    seen = []
    monkeypatch.setattr(folder_module, "look_at", lambda path: seen.append(path) or look_at(path))
    assert [item.frame for item in read(pictures).items] == [item.frame for item in first.items] and seen == []
    (pictures / "a.png").write_bytes((pictures / "a.png").read_bytes()[:40])
    with pytest.raises(ValueError, match=r"a.png cannot be read as a picture"):
        read(pictures)


def test_a_sample_that_was_read_ahead_is_what_reading_it_would_give(pictures, cache):
    training_set = read(pictures)
    again(training_set, cache)
    examples = encode(training_set, PlainEncoders(), cache=cache)
    samples = [(number % 2, number) for number in range(200)]
    examples.read_ahead(samples)
    examples.of(1, 63)  # the last that is read ahead: all before it are read by now
    for path in files(cache, "latent"):
        path.unlink()
    assert torch.equal(examples.of(1, 1).latent, encode(read(pictures, TrainingOptions()), PlainEncoders()).of(1, 0).latent)
    with pytest.raises(CacheError):
        examples.of(1, 199)
    examples.close()

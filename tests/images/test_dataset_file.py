"""Dataset files of kohya's trainers, as far as they bear on a search."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from appl_search import read_training_set
from appl_search.images.options import TrainingOptions

USUAL = """
[general]
shuffle_caption = true
keep_tokens = 1
caption_extension = ".txt"

[[datasets]]
resolution = [128, 128]
batch_size = 4
enable_bucket = true
min_bucket_reso = 64
max_bucket_reso = 256
bucket_reso_steps = 32

  [[datasets.subsets]]
  image_dir = "cats"
  num_repeats = 5
  class_tokens = "a cat"
  alpha_mask = true

  [[datasets.subsets]]
  image_dir = "reg"
  is_reg = true
  shuffle_caption = false
  caption_prefix = "photo,"
  caption_dropout_rate = 0

[[datasets]]
resolution = 256
  [[datasets.subsets]]
  image_dir = "masked"
  conditioning_data_dir = "masks"
"""


@pytest.fixture
def home(tmp_path):
    for folder, colour in {"cats": "red", "reg": "blue", "masked": "green", "masks": "white"}.items():
        (tmp_path / folder).mkdir()
        Image.new("RGB", (300, 200), colour).save(tmp_path / folder / "x.png")
    return tmp_path


def read(home, text, **more):
    (home / "set.toml").write_text(text, encoding="utf-8")
    return read_training_set(home / "set.toml", **more)


def test_tables_give_their_options_to_the_folders_in_them(home):
    training_set = read(home, USUAL, options=TrainingOptions(prior_weight=0.5, flip=True))
    cats, reg, masked = training_set.items
    assert (cats.caption, cats.repeats, cats.options.alpha) == ("a cat", 5, "mask")
    assert (cats.options.shuffle, cats.options.keep_tokens, cats.options.flip) == (True, 1, True)
    assert cats.frame.kept == (160, 96) and cats.frame.resized == (160, 107)
    assert (reg.options.shuffle, reg.options.prefix, reg.options.loss_weight, cats.options.loss_weight) == (
        False,
        "photo,",
        0.5,
        1.0,
    )
    assert masked.frame.kept == (256, 256) and masked.read()[1].all()
    assert training_set.epoch() == [0] * 5 + [1] * 6 + [2]
    assert training_set.notes[0] == f"{home / 'set.toml'}: batch_size do not bear on a search."


SUBSET = '[[datasets]]\nresolution = 128\n[[datasets.subsets]]\nimage_dir = "cats"\n'


@pytest.mark.parametrize(
    "text, message",
    [
        (SUBSET + "num_repeat = 3", "subset 1 of dataset 1: there is no option num_repeat"),
        (SUBSET + "color_aug = true", "color_aug cannot be served"),
        (SUBSET + "num_repeats = '3'", "num_repeats is '3', expected int"),
        (SUBSET + "flip_aug = 1", "flip_aug is 1, expected bool"),
        (SUBSET + "caption_dropout_rate = 2.0", "dropout is 2.0, expected a number from 0 to 1"),
        (SUBSET.replace("128", "[1, 2, 3]"), r"resolution is \[1, 2, 3\]"),
        (SUBSET.replace('image_dir = "cats"', ""), "image_dir is missing"),
        (SUBSET.replace("cats", "dogs"), "There is no folder .*dogs"),
        ("[[datasets]]\n", "names no folder"),
        ("[optimizer]\n", "has optimizer, expected general and datasets only"),
        ("datasets = 3", "datasets is '3', expected a list of tables"),
        ("a = ", "is no TOML"),
    ],
)
def test_what_cannot_be_read_or_served_is_refused_by_name(home, text, message):
    with pytest.raises(ValueError, match=message):
        read(home, text)


def test_every_key_of_the_trainers_is_known_and_documented(home):
    root = Path(__file__).resolve().parents[2]
    keys = json.loads((root / "tests" / "data" / "script_options.json").read_text(encoding="utf-8"))["dataset file"]
    rows = (root / "docs" / "options.md").read_text(encoding="utf-8")
    for key in keys:
        table = SUBSET.replace("resolution = 128", "") + (f"{key} = 3" if key != "image_dir" else "")
        try:
            read(home, table)
        except ValueError as error:
            assert "there is no option" not in str(error), key
        assert f"\n| `{key}` | " in rows, f"docs/options.md has no row for {key}"


def test_a_dataset_file_names_metadata_and_masks_itself(home):
    for more in ({"masks": home / "masks"}, {"metadata": home / "meta.json"}):
        with pytest.raises(ValueError, match="set.toml is a dataset file, which names metadata and masks itself"):
            read(home, SUBSET, **more)


def test_options_that_are_off_change_nothing(home):
    assert len(read(home, SUBSET + "color_aug = false\ntoken_warmup_step = 0\ncaption_dropout_every_n_epochs = 0")) == 1

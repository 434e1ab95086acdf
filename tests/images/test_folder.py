"""Folders of pictures, as people and kohya's tools leave them."""

from __future__ import annotations

import json

import pytest
import torch
from PIL import Image, ImageCms

from appl_search import read_training_set
from appl_search.images.files import read_image
from appl_search.images.options import TrainingOptions

WORDS = "one\ntwo\n"


def picture(path, size=(64, 64), colour=(200, 100, 50), mode="RGB", **how):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, colour).save(path, **how)
    return path


def captions(training_set) -> dict[str, str]:
    return {item.source.path.name: item.caption for item in training_set.items}


@pytest.fixture
def folder(tmp_path):
    for name in ("b.png", "a.jpg", "c.WEBP"):
        picture(tmp_path / name)
    (tmp_path / "a.txt").write_bytes("\ufeffa cat, grün \r\nmore\n".encode())
    (tmp_path / "b.caption").write_text("a dog", encoding="utf-8")
    return tmp_path


def test_captions_are_first_lines_of_the_files_beside_pictures(folder):
    training_set = read_training_set(folder)
    assert captions(training_set) == {"a.jpg": "a cat, grün", "b.png": "a dog", "c.WEBP": ""}
    assert training_set.notes == (f"{folder / 'c.WEBP'} has no caption, so the caption is empty.",)
    assert [item.name for item in training_set.items] == [str(folder / name) for name in ("a.jpg", "b.png", "c.WEBP")]


def test_all_lines_count_when_asked_for(folder):
    first = read_training_set(folder, TrainingOptions(all_lines=True)).items[0]
    assert first.version().prompt == "a cat, grün more"


def test_numbered_folders_repeat_and_name_their_pictures(tmp_path):
    picture(tmp_path / "plain.png")
    picture(tmp_path / "10_cat_girl" / "x.png")
    picture(tmp_path / "10_cat_girl" / "deep" / "y.png")
    picture(tmp_path / "0_off" / "z.png")
    picture(tmp_path / "others" / "w.png")
    training_set = read_training_set(tmp_path, TrainingOptions(repeats=2))
    assert captions(training_set) == {"plain.png": "", "x.png": "cat_girl", "y.png": "cat_girl", "w.png": ""}
    assert [item.repeats for item in training_set.items] == [2, 20, 20, 2]
    assert len(training_set.epoch()) == 44
    assert list(captions(read_training_set(tmp_path, sub_folders=False))) == ["plain.png"]


def test_a_circle_of_links_is_read_once(folder):
    (folder / "again").symlink_to(folder, target_is_directory=True)
    assert len(read_training_set(folder)) == 3


def test_a_broken_picture_is_named_and_refused_or_left_out(folder):
    broken = folder / "b.png"
    broken.write_bytes(broken.read_bytes()[:60])
    (folder / "aa.png").write_bytes(b"")
    with pytest.raises(ValueError, match=r"aa.png cannot be read as a picture .* skipped"):
        read_training_set(folder)
    training_set = read_training_set(folder, skip_broken=True)
    assert list(captions(training_set)) == ["a.jpg", "c.WEBP"]
    assert [note.split(" cannot")[0] for note in training_set.notes[:2]] == [
        f"Left out: {folder / 'aa.png'}",
        f"Left out: {broken}",
    ]


def test_a_caption_that_is_not_utf8_and_a_small_picture_are_named_too(folder):
    (folder / "a.txt").write_bytes(b"caf\xe9")
    with pytest.raises(ValueError, match=r"a.txt is not in UTF-8 \(byte 3\)"):
        read_training_set(folder)
    picture(folder / "b.png", (40, 80))
    notes = read_training_set(folder, skip_broken=True).notes
    assert "a.txt is not in UTF-8" in notes[0] and "b.png is 40x80 pixels" in notes[1]


def test_a_folder_without_pictures_or_that_is_none_is_refused(tmp_path):
    with pytest.raises(ValueError, match="There is no usable picture in"):
        read_training_set(tmp_path)
    with pytest.raises(ValueError, match="gone is no folder of pictures and no dataset file"):
        read_training_set(tmp_path / "gone")


def test_masks_beside_pictures_are_their_masks_and_no_pictures(folder):
    mask = Image.new("L", (64, 64), 0)
    mask.paste(255, (32, 0, 64, 64))
    for name in ("a.mask.png", "b_mask.png", "c-masklabel.png", "lonely_mask.png"):
        mask.save(folder / name)
    training_set = read_training_set(folder)
    assert list(captions(training_set)) == ["a.jpg", "b.png", "c.WEBP", "lonely_mask.png"]
    for item in training_set.items[:3]:
        found = item.read()[1]
        assert not found[:, :32].any() and found[:, 32:].all()
    assert training_set.items[3].read()[1] is None


def test_masks_of_another_folder_have_the_pictures_names(folder, tmp_path):
    masks = tmp_path / "masks of them"
    masks.mkdir()
    for name in ("a.png", "c.WEBP"):
        Image.new("L", (64, 64), 255).save(masks / name)
    training_set = read_training_set(folder, masks=masks)
    assert [item.read()[1] is not None for item in training_set.items] == [True, False, True]
    assert any(note.endswith(f"b.png has no mask in {masks}, so the loss counts everywhere.") for note in training_set.notes)
    with pytest.raises(ValueError, match="There is no folder .*gone"):
        read_training_set(folder, masks=tmp_path / "gone")


def test_pictures_come_upright(tmp_path):
    image = Image.new("RGB", (64, 96), "red")
    image.paste("blue", (0, 0, 64, 8))
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise by a quarter
    image.save(tmp_path / "turned.png", exif=exif)
    pixels, _ = read_image(tmp_path / "turned.png")
    assert tuple(pixels.shape) == (64, 96, 3)
    torch.testing.assert_close(pixels[:, 88:], torch.tensor([0.0, 0, 1]).expand(64, 8, 3))


def test_every_form_of_picture_becomes_rgb(tmp_path):
    grey = torch.full((3,), 100 / 255)
    forms = {
        "grey.png": ("L", 100, grey, None),
        "deep.png": ("I;16", 25700, grey, None),
        "bits.png": ("1", 1, torch.ones(3), None),
        "palette.png": ("P", 0, torch.zeros(3), None),
        "alpha.png": ("RGBA", (255, 0, 0, 51), torch.tensor([1.0, 0, 0]), 0.2),
        "greyalpha.png": ("LA", (100, 51), grey, 0.2),
        "print.jpg": ("CMYK", (0, 0, 0, 0), torch.ones(3), None),
        "float.tiff": ("F", 100 / 255, grey, None),
    }
    for name, (mode, colour, expected, opacity) in forms.items():
        pixels, alpha = read_image(picture(tmp_path / name, mode=mode, colour=colour))
        torch.testing.assert_close(pixels, expected.expand(64, 64, 3), atol=1e-4, rtol=0)
        assert (alpha is None) == (opacity is None), name
        if alpha is not None:
            torch.testing.assert_close(alpha, torch.full((64, 64), opacity))


def test_of_an_animation_the_first_frame_counts(tmp_path):
    first, second = (Image.new("RGB", (64, 64), colour) for colour in ("red", "blue"))
    first.save(tmp_path / "moves.gif", save_all=True, append_images=[second])
    first.save(tmp_path / "moves.webp", save_all=True, append_images=[second], lossless=True)
    for name in ("moves.gif", "moves.webp"):
        torch.testing.assert_close(read_image(tmp_path / name)[0][0, 0], torch.tensor([1.0, 0, 0]), atol=0.02, rtol=0)


def test_colours_go_from_the_files_profile_to_srgb(tmp_path):
    # In CIE Lab, lightness 50 without colour is sRGB 119, a number of the standards.
    lab = ImageCms.createProfile("LAB")
    image = Image.new("LAB", (64, 64), (128, 128, 128))
    image.save(tmp_path / "lab.tiff", icc_profile=ImageCms.ImageCmsProfile(lab).tobytes())
    torch.testing.assert_close(
        read_image(tmp_path / "lab.tiff")[0][0, 0], torch.full((3,), 119 / 255), atol=0.012, rtol=0
    )


def test_a_broken_profile_is_logged_and_the_colours_are_taken_as_they_are(tmp_path, caplog):
    path = picture(tmp_path / "odd.png", icc_profile=b"no profile")
    torch.testing.assert_close(read_image(path)[0][0, 0] * 255, torch.tensor([200.0, 100, 50]))
    assert "odd.png: its colour profile cannot be used" in caplog.text


def test_metadata_of_kohyas_tools_has_captions_and_tags(folder):
    metadata = {str(folder / "b.png"): {"caption": "a dog", "tags": "brown, big"}, "a": {"tags": "cat"}, "gone.png": {}}
    (folder / "meta.json").write_text(json.dumps(metadata), encoding="utf-8")
    with pytest.raises(ValueError, match="names 'gone.png', but there is no such picture"):
        read_training_set(folder, metadata=folder / "meta.json")
    training_set = read_training_set(folder, metadata=folder / "meta.json", skip_broken=True)
    assert captions(training_set) == {"b.png": "a dog,brown, big", "a.jpg": "cat"}
    lines = [{"image_path": "c.WEBP", "caption": "tags, of a tagger", "image_size": [64, 64]}]
    (folder / "meta.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    assert captions(read_training_set(folder, metadata=folder / "meta.jsonl")) == {"c.WEBP": "tags, of a tagger"}


@pytest.mark.parametrize("text", ["", "[1]", '{"a": 1}', "[" * 100000, '{"a": {"caption": 5}}', "\xff"])
def test_metadata_that_are_none_are_refused(folder, text):
    (folder / "meta.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(ValueError, match=r"meta.json") as error:
        read_training_set(folder, metadata=folder / "meta.json")
    assert len(str(error.value)) < 500


def test_every_path_is_shown_to_the_check_before_it_is_opened(folder):
    seen = []

    def check(path):
        seen.append(path)
        if path == folder / "10_x":
            raise ValueError("no way")

    picture(folder / "10_x" / "secret.png")
    with pytest.raises(ValueError, match="no way"):
        read_training_set(folder, check_path=check)
    assert seen == [folder, folder, folder / "10_x"]

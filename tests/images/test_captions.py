"""How a text falls into captions, and which captions are refused before a search begins."""

from __future__ import annotations

import pytest
import torch

from appl_search import TrainingOptions, TrainingSet
from appl_search.images.captions import as_prompt, first_line, split_captions

IMAGES = torch.zeros(2, 64, 64, 3)


@pytest.mark.parametrize(
    "text, images, captions",
    [
        ("a cat\n", 2, ["a cat", ""]),
        ("a cat\n", 1, ["a cat"]),
        ("a cat\n", 3, ["a cat"]),
        ("a cat\n\n\n", 3, ["a cat", "", ""]),
        ("\n", 2, ["", ""]),
        ("\n\n", 5, [""]),
        ("", 3, [""]),
        ("a\r\nb\r\n", 2, ["a", "b"]),
        ("\ufeffa cat\na dog", 2, ["a cat", "a dog"]),
        ("a\u2028b\x85c\x0bd\x0ce\x1df", 1, ["a\u2028b\x85c\x0bd\x0ce\x1df"]),
        ("\n\na", 3, ["", "", "a"]),
    ],
)
def test_lines_are_captions(text, images, captions):
    assert split_captions(text, images) == captions


def test_the_first_line_of_a_file_is_what_kohya_reads():
    assert first_line("\ufeff a cat \r\nmore") == "a cat"


@pytest.mark.parametrize(
    "caption, message",
    [
        ("a (b:nan) c", "weighs words by nan in '...a .b:nan.'"),
        ("(b:inf)", "weighs words by inf"),
        ("(b:-1e999)", "weighs words by -inf"),
        ("((b:2):99999)", "weighs words by 99999"),
        ("(" * 2000 + "a", "2000 brackets inside each other"),
        ("half \ud83d of", r"half a surrogate pair .U\+D83D. at character 6"),
        (b"bytes", "is of type bytes, expected text"),
        (None, "is of type NoneType, expected text"),
    ],
)
def test_a_caption_that_cannot_be_read_is_refused_with_its_picture(caption, message):
    with pytest.raises(ValueError, match=f"The caption of training image 2 (has )?{message}") as error:
        TrainingSet.from_images(IMAGES, ["fine", caption])
    assert len(str(error.value)) < 400


def test_weights_and_plain_brackets_are_read():
    captions = [r"\(b:nan\) (a:1.2) ((b)) (name: the cat) :) (", ")))" + "(a)" * 500]
    assert [item.caption for item in TrainingSet.from_images(IMAGES, captions).items] == captions


def test_it_says_when_brackets_weigh_words():
    note = TrainingSet.from_images(IMAGES, ["ganyu (genshin impact)", ":) ("]).bracket_note
    assert note.startswith("Brackets weigh words in 1 of 2 captions")
    plain = [r"ganyu \(genshin impact\)", "no brackets"]
    assert TrainingSet.from_images(IMAGES, plain).bracket_note is None
    literal = TrainingOptions(literal=True)
    assert TrainingSet.from_images(IMAGES, "ganyu (genshin impact)", options=literal).bracket_note is None


def test_literal_brackets_weigh_nothing_for_comfyui():
    from comfy.sd1_clip import escape_important, token_weights, unescape_important

    for caption in ("ganyu (genshin impact), (a:1.5)", r"with \(backslashes\) and \\("):
        parts = token_weights(escape_important(as_prompt(caption, literal=True)), 1.0)
        assert [(unescape_important(text), weight) for text, weight in parts] == [(caption, 1.0)]
        assert as_prompt(caption, literal=False) == caption

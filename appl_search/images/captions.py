"""Captions: how a text falls into captions, and what a text encoder could not read."""

from __future__ import annotations

import re
from collections.abc import Sequence

#: ComfyUI's prompt reader calls itself once for each open bracket; Python allows some 1000 calls.
DEEPEST_BRACKETS = 100
#: Of a word. Half precision overflows long before.
LARGEST_WEIGHT = 1000.0
_SHOWN = 40


def split_captions(text: str, images: int) -> list[str]:
    """The captions in a text with one on each line, or a single one for all ``images``.

    Lines end at \\n and \\r\\n only: U+2028, U+0085 and the vertical tab are parts of a caption. A byte order mark is
    dropped. Empty lines at the end count as captions only as far as the images need them, but a text without
    any other line is one empty caption.
    """
    lines = re.split(r"\r?\n", text.removeprefix("\ufeff"))
    while len(lines) > 1 and not lines[-1].strip() and len(lines) != images:
        lines.pop()
    return [line.strip() for line in lines]


def first_line(text: str) -> str:
    """The first line, without white space around it: what kohya's trainers read of a caption file."""
    return re.split(r"\r?\n", text.removeprefix("\ufeff"), maxsplit=1)[0].strip()


def check_caption(caption: object, name: str, literal: bool = False) -> str:
    """The caption, when a tokenizer can read it. ``name``: of its picture, for the errors.

    ``literal``: brackets are plain characters. Otherwise they weigh words, and each weight has to be a number that
    the text encoders can multiply with. Raises ValueError.
    """
    if not isinstance(caption, str):
        raise ValueError(f"The caption of {name} is of type {type(caption).__name__}, expected text (str).")
    try:
        caption.encode("utf-8")
    except UnicodeEncodeError as error:
        raise ValueError(
            f"The caption of {name} has half a surrogate pair (U+{ord(caption[error.start]):04X}) at character "
            f"{error.start + 1}, which no tokenizer reads. Type that character anew."
        ) from None
    if not literal:
        _check_brackets(caption, name)
    return caption


def as_prompt(caption: str, literal: bool) -> str:
    """The caption in ComfyUI's prompt syntax: when ``literal``, a backslash keeps each bracket from weighing words."""
    return re.sub(r"([()])", r"\\\1", caption) if literal else caption


def weighs_words(prompt: str) -> bool:
    """Whether ComfyUI reads a pair of brackets in it as a weight."""
    return re.search(r"\(.*\)", _without_escapes(prompt), re.DOTALL) is not None


def _without_escapes(prompt: str) -> str:
    return prompt.replace("\\(", "").replace("\\)", "")


def _check_brackets(caption: str, name: str) -> None:
    plain = _without_escapes(caption)
    depth = deepest = 0
    for sign in re.findall(r"[()]", plain):
        depth = max(depth + (1 if sign == "(" else -1), 0)
        deepest = max(deepest, depth)
    if deepest > DEEPEST_BRACKETS:
        raise ValueError(
            f"The caption of {name} has {deepest} brackets inside each other, expected at most {DEEPEST_BRACKETS}. Remove "
            "some, or write a backslash before brackets that are plain text."
        )
    for found in re.finditer(r":([^():]*)\)", plain):
        try:
            weight = float(found[1])
        except ValueError:
            continue  # a colon in a text: ComfyUI reads no weight there
        if not abs(weight) <= LARGEST_WEIGHT:
            shown = plain[max(0, found.start() - _SHOWN) : found.end()]
            raise ValueError(
                f"The caption of {name} weighs words by {weight:g} in '...{shown}', expected a number of at most "
                f"{LARGEST_WEIGHT:g}. Correct the number, or write a backslash before the brackets."
            )


def one_for_each(captions: Sequence[str], images: int) -> list[str]:
    """As many captions as images: a single one serves all. Raises ValueError for any other number."""
    captions = list(captions) * (images if len(captions) == 1 else 1)
    if len(captions) != images:
        raise ValueError(
            f"There are {len(captions)} captions for {images} images. Give one line for each image, or a single line for all of them."
        )
    return captions

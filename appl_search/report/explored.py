"""An exploration of a LoRA's blocks for people: a grid of its pictures, a table, and what they say in words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from ..exploring.exploration import Effect, Exploration
from ..exploring.variants import ALL, ALONE, NONE, OFF
from ..loras.errors import cut
from .sheet import CAPTION, CELL, GAP, sheet

_GROUND, _TEXT = (30, 30, 30), (237, 237, 237)
_LONGEST_NAME = 60
_MOST = 3  # blocks that the words name
_SEEN = 0.05  # % of difference below which nobody sees one: an eighth of a step of 8 bits, or a few pixels
_TITLES = {OFF: "Each block off", ALONE: "Each block alone"}


def grid(exploration: Exploration) -> Image.Image:
    """All pictures in the order of blocks, each with the map of its difference to its right, and its name and numbers below."""
    both = [_side_by_side(shown.pixels, where) for shown, where in zip(exploration.pictures, exploration.maps)]
    parts = [
        _title(f"{cut(exploration.name, _LONGEST_NAME)}: a picture, and to its right where it differs (black: nowhere)"),
        _sheet(both[:2], [_caption(exploration, effect) for effect in exploration.effects[:2]]),
    ]
    for kind in exploration.kinds:
        effects = exploration.of_kind(kind)
        there = [picture for shown, picture in zip(exploration.pictures, both) if shown.variant.kind == kind]
        parts += [_title(heading(exploration, kind)), _sheet(there, [_caption(exploration, effect) for effect in effects])]
    made = Image.new("RGB", (max(part.width for part in parts) + 2 * GAP, sum(part.height + GAP for part in parts) + GAP), _GROUND)
    top = GAP
    for part in parts:
        made.paste(part, (GAP, top), part)
        top += part.height + GAP
    return made


def heading(exploration: Exploration, kind: str) -> str:
    """What pictures of a kind are, and what they are compared with."""
    reference = exploration.reference(exploration.of_kind(kind)[0].shown.variant)
    return f"{_TITLES[kind]}, compared with {'all blocks on' if reference == ALL else reference}"


def rows(exploration: Exploration, kind: str) -> Iterator[list[str]]:
    """A row for each picture of a kind, the largest difference first: its name, and both differences in pixels and SSIM."""
    for effect in exploration.by_effect(kind):
        yield [effect.shown.label, *_numbers(effect)]


HEAD = ("", f"from {ALL}", "SSIM", f"from {NONE}", "SSIM")


def explored_table(exploration: Exploration) -> list[str]:
    """All rows as lines of text, kind by kind; the picture without the LoRA first, as a measure."""
    without = exploration.effects[1]
    lines = [_line(HEAD), _line([without.shown.label, *_numbers(without)])]
    for kind in exploration.kinds:
        lines += ["", heading(exploration, kind), *map(_line, rows(exploration, kind))]
    return lines


def explored_words(exploration: Exploration) -> str:
    """How the pictures were had, which blocks they depend on most, and which do not show."""
    settings = ", ".join(f"{name} {value}" for name, value in exploration.settings.items())
    prompt = f"{cut(exploration.prompt)!r}; " if exploration.prompt else ""
    found = [f"{exploration.sampled} pictures sampled, {exploration.found} found from before ({prompt}{settings})."]
    for kind in exploration.kinds:
        effects = exploration.by_effect(kind)
        seen = [effect for effect in effects if exploration.counted(effect).pixels >= _SEEN]
        most = ", ".join(f"{_block(exploration, effect)} ({exploration.counted(effect).pixels:.2f}%)" for effect in seen[:_MOST])
        found.append(f"{heading(exploration, kind)}: {f'most is changed by {most}' if most else 'no block changes anything that can be seen'}.")
        if most and len(seen) < len(effects):
            found.append(f"Not to be seen: {', '.join(_block(exploration, effect) for effect in effects[len(seen):])}.")
    found.append("This is one prompt and one seed: others may depend on other blocks, and which ones to keep a search finds on your pictures.")
    return " ".join(found)


def _numbers(effect: Effect) -> list[str]:
    return [text for each in (effect.from_all, effect.from_none) for text in (f"{each.pixels:.2f}%", f"{each.ssim:.3f}")]


def _line(cells: Sequence[str]) -> str:
    name, *numbers = cells
    return (f"{name:<11}" + "".join(f"{cell:>{width}}" for cell, width in zip(numbers, (15, 8, 14, 8)))).rstrip()


def _block(exploration: Exploration, effect: Effect) -> str:
    return exploration.weights.blocks[effect.shown.variant.block]


def _caption(exploration: Exploration, effect: Effect) -> str:
    """The name, and the numbers unless it is the very picture that it is compared with."""
    if exploration.reference(effect.shown.variant) == effect.shown.label:
        return effect.shown.label
    counted = exploration.counted(effect)
    return f"{effect.shown.label}   {counted.pixels:.2f}%   SSIM {counted.ssim:.3f}"


def _side_by_side(*pictures: Tensor) -> Image.Image:
    images = [Image.fromarray(picture.numpy()) for picture in pictures]
    made = Image.new("RGB", (sum(image.width for image in images), images[0].height))
    for number, image in enumerate(images):
        made.paste(image, (number * image.width, 0))
    return made


def _sheet(images: Sequence[Image.Image], captions: Sequence[str]) -> Image.Image:
    width, height = images[0].size
    return sheet(images, captions, cell=round(CELL * max(width, height) / max(width // 2, height)), colour=_TEXT)


def _title(text: str) -> Image.Image:
    """A line of text on a transparent ground."""
    font = ImageFont.load_default(size=CAPTION * 0.7)
    text = "".join(sign if sign.isprintable() else "\ufffd" for sign in text)
    made = Image.new("RGBA", (round(font.getlength(text)) + GAP, CAPTION))
    ImageDraw.Draw(made).text((0, CAPTION / 2), text, _TEXT, font, "lm")
    return made

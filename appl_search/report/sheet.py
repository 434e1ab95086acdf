"""Pictures in rows, each with its caption, as one picture."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

COLUMNS = 4
CELL = 256  # pixels of a picture's longer side
GAP = 8
CAPTION = 40
_CAPTION_COLOUR = (128, 128, 128, 255)  # to be read on dark and on light


def sheet(
    images: Sequence[Image.Image], captions: Sequence[str], columns: int = COLUMNS, cell: int = CELL, colour: tuple[int, ...] = _CAPTION_COLOUR
) -> Image.Image:
    """One image of all pictures in rows, on a transparent ground, each with its caption below.

    They are of one size, and are made ``cell`` pixels long.
    """
    width, height = images[-1].size
    scale = cell / max(width, height)
    size = (round(width * scale), round(height * scale))
    rows = -(-len(images) // columns)
    made = Image.new("RGBA", (columns * (size[0] + GAP) - GAP, rows * (size[1] + CAPTION)))
    draw = ImageDraw.Draw(made)
    for number, (image, caption) in enumerate(zip(images, captions)):
        row, column = divmod(number, columns)
        left, top = column * (size[0] + GAP), row * (size[1] + CAPTION)
        made.paste(image.resize(size, Image.Resampling.LANCZOS), (left, top))
        draw.text((left + size[0] / 2, top + size[1] + CAPTION / 2), caption, colour, _font(caption, size[0]), "mm")
    return made


def _font(caption: str, width: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """As large as fits into a caption's height and this width."""
    height = CAPTION * 0.7
    font = ImageFont.load_default(size=height)
    return ImageFont.load_default(size=height * min(1.0, width / max(1.0, font.getlength(caption))))

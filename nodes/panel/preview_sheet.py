"""The preview pictures of a search, on a sheet that the page shows and that is saved beside the result."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import folder_paths
import torch
from PIL import Image, ImageDraw, ImageFont
from PIL.PngImagePlugin import PngInfo

from ...appl_search.host import pictures
from ...appl_search.searching.previews import Preview
from ..support.common import Json, as_pictures
from ..support.files import create_unique, result_folder

COLUMNS = 4
CELL = 256  # pixels of a picture's longer side on the sheet
GAP = 8
CAPTION = 40
_CAPTION_COLOUR = (128, 128, 128, 255)  # to be read on dark and on light
_DESCRIPTION = "Description"  # a keyword of the PNG specification


class PreviewSheet:
    """The pictures of one search, in their order; ``changed`` is told where to see them after each one.

    While the search runs, a picture that the VAE has no room to decode shows as ComfyUI's rough latent preview.
    """

    def __init__(self, vae, latent_format, changed: Callable[[Json], object]):
        self._vae, self._latent_format, self._changed = vae, latent_format, changed
        self._previews: list[Preview] = []
        self._pixels: list[torch.Tensor | None] = []

    def add(self, preview: Preview) -> None:
        self._previews.append(preview)
        self._pixels.append(pictures.decode(self._vae, preview.latent) if pictures.fits(self._vae, preview.latent) else None)
        path = create_unique(Path(folder_paths.get_temp_directory()), "block_weights_previews", ".png")
        self.save(path)
        self._changed(sheet_at(path, "temp", Path(folder_paths.get_temp_directory())))

    def pictures(self) -> torch.Tensor | None:
        """All of them [n, height, width, 3], by the VAE; None when there are none."""
        for number, preview in enumerate(self._previews):
            if self._pixels[number] is None:
                self._pixels[number] = pictures.decode(self._vae, preview.latent)
        return torch.stack(self._pixels) if self._pixels else None

    def save(self, path: Path) -> None:
        """Writes the sheet, if there are pictures; its PNG description says what they are."""
        if not self._previews:
            return
        shown = [
            pictures.approximate(self._latent_format, preview.latent) if pixels is None else pixels
            for preview, pixels in zip(self._previews, self._pixels)
        ]
        captions = [_caption(preview) for preview in self._previews]
        about = PngInfo()
        about.add_itxt(_DESCRIPTION, f"Preview pictures: {', '.join(captions)}")
        _sheet(as_pictures(shown), captions).save(path, pnginfo=about)


def sheet_path(file: str) -> Path:
    """Where the sheet of a saved search is; ``file``: its JSON below the folder of results."""
    path = result_folder() / file
    return path.with_name(f"{path.stem}_previews.png")


def sheet_at(path: Path, kind: str, folder: Path) -> Json | None:
    """How the page gets a sheet from ComfyUI, and how large it is; None when there is none.

    ``kind``: what ComfyUI calls ``folder``, "output" or "temp".
    """
    if not path.is_file():
        return None
    with Image.open(path) as image:
        width, height = image.size
        text = image.info.get(_DESCRIPTION, "")
    subfolder = path.parent.resolve().relative_to(folder.resolve()).as_posix()
    where = {"filename": path.name, "subfolder": "" if subfolder == "." else subfolder, "type": kind}
    return {**where, "width": width, "height": height, "text": str(text)}


def saved_sheet(file: str) -> Json | None:
    """:func:`sheet_at` of a saved search."""
    return sheet_at(sheet_path(file), "output", Path(folder_paths.get_output_directory()))


def _caption(preview: Preview) -> str:
    if preview.is_last:
        return "found"
    return f"{preview.samples} samples" if preview.samples else "start"


def _sheet(images: Sequence[Image.Image], captions: Sequence[str]) -> Image.Image:
    """Pictures in rows, with their captions below; transparent around."""
    width, height = images[-1].size
    scale = CELL / max(width, height)
    cell = (round(width * scale), round(height * scale))
    rows = -(-len(images) // COLUMNS)
    sheet = Image.new("RGBA", (COLUMNS * (cell[0] + GAP) - GAP, rows * (cell[1] + CAPTION)))
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(size=CAPTION * 0.7)
    for number, (image, caption) in enumerate(zip(images, captions)):
        row, column = divmod(number, COLUMNS)
        left, top = column * (cell[0] + GAP), row * (cell[1] + CAPTION)
        sheet.paste(image.resize(cell, Image.Resampling.LANCZOS), (left, top))
        draw.text((left + cell[0] / 2, top + cell[1] + CAPTION / 2), caption, _CAPTION_COLOUR, font, "mm")
    return sheet

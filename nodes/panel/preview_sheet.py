"""The preview pictures of a search, on a sheet that the page shows and that is saved beside the result."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import folder_paths
import torch
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from ...appl_search.host import pictures
from ...appl_search.report.sheet import CAPTION, COLUMNS, GAP, sheet
from ...appl_search.searching.previews import Preview
from ..support.common import Json, as_pictures, log
from ..support.files import result_folder, write_new, write_whole

_DESCRIPTION = "Description"  # a keyword of the PNG specification
_ABOUT = "Preview pictures: "


class PreviewSheet:
    """The pictures of one search, in their order; ``changed`` is called after each one with where the page finds them.

    While the search runs, a picture that the VAE has no room to decode shows as ComfyUI's rough latent preview.
    """

    def __init__(self, vae, latent_format, changed: Callable[[Json], object]):
        self._vae, self._latent_format, self._changed = vae, latent_format, changed
        self._previews: list[Preview] = []
        self._pixels: list[torch.Tensor | None] = []

    def add(self, preview: Preview) -> None:
        self._previews.append(preview)
        self._pixels.append(pictures.decode(self._vae, preview.latent) if pictures.fits(self._vae, preview.latent) else None)
        folder = Path(folder_paths.get_temp_directory())
        try:
            path = write_new(folder, "block_weights_previews", ".png", self._write)
        except OSError as error:
            log.warning("The preview pictures cannot be shown while the search runs: %s", error)
        else:
            self._changed(sheet_at(path, "temp", folder))

    def pictures(self) -> torch.Tensor | None:
        """All of them [n, height, width, 3], by the VAE; None when there are none."""
        for number, preview in enumerate(self._previews):
            if self._pixels[number] is None:
                self._pixels[number] = pictures.decode(self._vae, preview.latent)
        return torch.stack(self._pixels) if self._pixels else None

    def save(self, path: Path) -> None:
        """Writes the sheet, if there are pictures."""
        if self._previews:
            write_whole(path, self._write)

    def _write(self, path: Path) -> None:
        """The sheet as a PNG, whose description says what the pictures are."""
        shown = [
            pictures.approximate(self._latent_format, preview.latent) if pixels is None else pixels
            for preview, pixels in zip(self._previews, self._pixels)
        ]
        captions = [_caption(preview) for preview in self._previews]
        about = PngInfo()
        about.add_itxt(_DESCRIPTION, _ABOUT + ", ".join(captions))
        sheet(as_pictures(shown), captions).save(path, "PNG", pnginfo=about)


def sheet_path(file: str) -> Path:
    """Where the sheet of a saved search is; ``file``: its JSON below the folder of results."""
    path = result_folder() / file
    return path.with_name(f"{path.stem}_previews.png")


def sheet_at(path: Path, kind: str, folder: Path) -> Json | None:
    """Where the page gets a sheet from ComfyUI, and where its first and last picture are on it; None when there is none.

    ``kind``: what ComfyUI calls ``folder``, "output" or "temp".
    """
    if not path.is_file():
        return None
    try:
        with Image.open(path) as image:
            size, captions = image.size, _captions(image)
    except (OSError, ValueError, SyntaxError) as error:  # what Pillow raises for a damaged file
        log.warning("The preview pictures %s cannot be read: %s", path, error)
        return None
    subfolder = path.parent.resolve().relative_to(folder.resolve()).as_posix()
    where = {"filename": path.name, "subfolder": "" if subfolder == "." else subfolder, "type": kind}
    first, last = (_place(number, captions, size) if captions else None for number in (0, len(captions) - 1))
    return {**where, "width": size[0], "height": size[1], "before": first, "after": last if len(captions) > 1 else None}


def saved_sheet(file: str) -> Json | None:
    """:func:`sheet_at` of a saved search."""
    return sheet_at(sheet_path(file), "output", Path(folder_paths.get_output_directory()))


def before_and_after(file: str) -> dict[str, Image.Image]:
    """The first and the last picture of a saved search, as far as there are any."""
    saved = saved_sheet(file)
    if saved is None:
        return {}
    with Image.open(sheet_path(file)) as image:
        return {name: image.crop(_box(saved[name])) for name in ("before", "after") if saved[name] is not None}


def _captions(image: Image.Image) -> list[str]:
    """What the pictures of a sheet are."""
    text = str(image.info.get(_DESCRIPTION, ""))
    return text.removeprefix(_ABOUT).split(", ") if text.startswith(_ABOUT) else []


def _place(number: int, captions: Sequence[str], size: tuple[int, int]) -> Json:
    """Where a picture is on a sheet of this size, in pixels, and what it is."""
    row, column = divmod(number, COLUMNS)
    width, height = (size[0] + GAP) // COLUMNS - GAP, size[1] // -(-len(captions) // COLUMNS) - CAPTION
    return {"x": column * (width + GAP), "y": row * (height + CAPTION), "width": width, "height": height, "text": captions[number]}


def _box(place: Json) -> tuple[int, int, int, int]:
    return place["x"], place["y"], place["x"] + place["width"], place["y"] + place["height"]


def _caption(preview: Preview) -> str:
    if preview.is_last:
        return "found"
    return f"{preview.samples} samples" if preview.samples else "start"

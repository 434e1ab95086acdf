"""Pictures on disk by what they were made of: found again after Cancel, in a later run, by another process."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from torch import Tensor

from ..whole_files import written_whole

log = logging.getLogger("appl_search")

_DESCRIPTION = "Description"  # a keyword of the PNG specification


class KeptPictures:
    """A folder of PNG files, each named by the key of its picture. Whoever deletes one has it made anew."""

    def __init__(self, folder: Path):
        self.folder = folder
        self._can_write = True

    def find(self, key: str) -> Tensor | None:
        """Pixels uint8 [h, w, 3] of a picture, None where there is none that can be read."""
        path = self._path(key)
        if not path.is_file():
            return None
        try:
            with Image.open(path) as image:
                return torch.from_numpy(np.array(image.convert("RGB")))
        except (OSError, ValueError, SyntaxError) as error:  # what Pillow raises for a damaged file
            log.warning("The kept picture %s cannot be read, so it is made anew: %s", path, error)
            return None

    def keep(self, key: str, pixels: Tensor, about: str) -> None:
        """Writes a picture whole or not at all, with what it is; without room the exploration goes on all the same."""
        info = PngInfo()
        info.add_itxt(_DESCRIPTION, about)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with written_whole(self._path(key)) as path:
                Image.fromarray(pixels.numpy()).save(path, "PNG", pnginfo=info)
        except OSError as error:
            if self._can_write:
                log.warning("Block Explorer: pictures cannot be kept in %s (%s): a later run will make them anew.", self.folder, error)
            self._can_write = False

    def _path(self, key: str) -> Path:
        return self.folder / f"{key}.png"

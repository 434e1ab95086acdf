"""Picture files: found, and read into pixels whatever their form."""

from __future__ import annotations

import io
import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageCms, ImageOps
from torch import Tensor

from ..digests import digest_of, digest_of_file
from .buckets import Size
from .pixels import checked, checked_mask, without_alpha

log = logging.getLogger("appl_search")

EXTENSIONS = frozenset((".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".avif"))
#: What a mask beside `cat.png` may be called: `cat.mask.png`, `cat_mask.png`, `cat-masklabel.png`.
MASK_ENDINGS = (".mask", "_mask", "-masklabel")
_SIXTEEN_BITS = 65535


class UnreadablePicture(ValueError):
    """A file that is no picture, or only a part of one."""


def folders_in(root: Path) -> Iterator[tuple[Path, list[Path]]]:
    """Every folder below ``root`` and ``root`` itself, with its picture files in order. A folder that links in a circle comes once."""
    seen = set()
    for folder, names, files in os.walk(root, followlinks=True):
        where = os.path.realpath(folder)
        if where in seen:
            names.clear()
            continue
        seen.add(where)
        names.sort()
        yield Path(folder), pictures_among([Path(folder, name) for name in files])


def pictures_among(paths: list[Path]) -> list[Path]:
    """The pictures, in order of their names, without those that are masks of others."""
    pictures = sorted(path for path in paths if path.suffix.lower() in EXTENSIONS)
    stems = {path.stem for path in pictures}
    return [
        path
        for path in pictures
        if not any(path.stem.endswith(end) and path.stem[: -len(end)] in stems for end in MASK_ENDINGS)
    ]


def mask_beside(path: Path, folder: Path | None = None) -> Path | None:
    """The mask of a picture: a file with an ending for masks beside it, or one of its name in another ``folder``."""
    stems = [path.stem] if folder is not None else [path.stem + ending for ending in MASK_ENDINGS]
    where = folder or path.parent
    candidates = (where / f"{stem}{extension}" for stem in stems for extension in (path.suffix, *sorted(EXTENSIONS)))
    return next((candidate for candidate in candidates if candidate.is_file()), None)


def read_image(path: Path) -> tuple[Tensor, Tensor | None]:
    """(RGB [h, w, 3], alpha [h, w] or None), both in 0..1.

    The picture is turned as its EXIF data say, and its colours go from its ICC profile to sRGB. Grey, palette, CMYK and 16
    bit pictures become RGB; of an animation the first frame counts. Raises :class:`UnreadablePicture`.
    """
    return checked(_decoded(path), str(path))


def look_at(path: Path) -> tuple[Size, bool]:
    """((width, height) of what :func:`read_image` gives, whether it has alpha), with less work. Raises as that does."""
    pixels = _decoded(path)
    if pixels.dtype != torch.uint8:
        checked(pixels, str(path))
    return (pixels.shape[1], pixels.shape[0]), pixels.shape[2] == 4 and bool((pixels[:, :, 3] < 255).any())


@dataclass(frozen=True)
class FromFile:
    """A picture that is read whenever it is needed. ``alpha``: what its alpha channel means, see :func:`without_alpha`."""

    path: Path
    alpha: str
    mask: Path | None = None

    def read(self) -> tuple[Tensor, Tensor | None]:
        image, alpha = read_image(self.path)
        mask = None if self.mask is None else checked_mask(read_image(self.mask)[0][:, :, 0], str(self.path))
        if alpha is not None:
            image, mask, _ = without_alpha(image, alpha, mask, self.alpha)
        return image, mask

    def fingerprint(self) -> str:
        try:
            hashes = digest_of_file(self.path), self.mask and digest_of_file(self.mask)
        except OSError as error:
            raise UnreadablePicture(_unreadable(self.path, error)) from error
        return digest_of((*hashes, self.alpha))


def _decoded(path: Path) -> Tensor:
    """[h, w, 1, 3 or 4] of an upright picture, as bytes or in 0..1."""
    with _opened(path) as image:
        try:
            return _pixels(ImageOps.exif_transpose(image), path)
        except MemoryError:
            raise
        except Exception as error:  # Pillow's readers raise whatever their format's code meets first
            raise UnreadablePicture(_unreadable(path, error)) from error


def _opened(path: Path) -> Image.Image:
    try:
        return Image.open(path)
    except MemoryError:
        raise
    except Exception as error:  # as above
        raise UnreadablePicture(_unreadable(path, error)) from error


def _unreadable(path: Path, error: Exception) -> str:
    return f"{path} cannot be read as a picture ({str(error)[:200] or type(error).__name__}). Replace or remove the file, or let broken pictures be skipped."


def _pixels(image: Image.Image, path: Path) -> Tensor:
    if image.mode.startswith("I"):  # grey with 16 bits; "I" has room for more and holds no more
        return torch.from_numpy(np.asarray(image).astype(np.float32) / _SIXTEEN_BITS)[:, :, None]
    if image.mode == "F":
        return torch.from_numpy(np.array(image))[:, :, None]
    profile = image.info.get("icc_profile")
    has_alpha = image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info
    alpha = image.convert("RGBA").getchannel("A") if has_alpha else None
    if image.mode not in ("RGB", "L", "CMYK", "LAB"):
        image = image.convert("L" if image.mode in ("1", "LA", "La") else "RGB")
    image = _to_srgb(image, profile, path)
    if alpha is not None:
        image.putalpha(alpha)
    return torch.from_numpy(np.array(image))


def _to_srgb(image: Image.Image, profile: bytes | None, path: Path) -> Image.Image:
    """As RGB, of the colours that its profile says; of plain ones where there is no profile that can be read."""
    if profile:
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            converted = ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
        except (ImageCms.PyCMSError, OSError, ValueError) as error:
            log.warning("%s: its colour profile cannot be used (%s), so its colours are taken for sRGB.", path, error)
        else:
            return converted
    return image.convert("RGB")

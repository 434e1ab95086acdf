"""A folder of pictures, as :func:`read_training_set` reads it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .options import TrainingOptions

CAPTION_EXTENSIONS = (".txt", ".caption")


@dataclass(frozen=True)
class Subset:
    """The pictures of one folder. ``caption``: of those without a caption of their own. ``masks``: a folder with masks of their names.

    ``metadata``: a file that has the captions, and says which pictures count. ``deep``: folders in it count too.
    """

    folder: Path
    options: TrainingOptions
    caption: str = ""
    extensions: Sequence[str] = CAPTION_EXTENSIONS
    metadata: Path | None = None
    masks: Path | None = None
    deep: bool = False

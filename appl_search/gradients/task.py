"""What a search is given, in one value. It lies here, below the search, because opening the models for it needs all of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from ..images.cache import default_folder
from ..images.training_set import TrainingSet
from ..loras.source import LoraSource, told_apart
from ..settings import PreviewSettings, SearchSettings


@dataclass(frozen=True, kw_only=True)
class Models:
    """ComfyUI's ModelPatcher, CLIP and VAE. They come back unchanged.

    ``clip`` and ``vae`` may be None when the training set is encoded and no LoRA has text-encoder keys.
    """

    model: Any
    clip: Any = None
    vae: Any = None


@dataclass(frozen=True, kw_only=True)
class Task:
    """The models, the LoRAs whose block weights are searched, the training set and the settings.

    ``previews``: pictures to sample while the search runs, at the times of the first one; they do not change what is found.
    ``draws``: recorded (indices [b], timesteps [b], noise [b, 4, h, w]) to use instead of drawing. ``cache_folder``: where
    what pictures are encoded to is kept, for those whose options ask for it. The LoRAs' files are read at once, and
    their names are made different from each other. Raises ValueError without a LoRA, LoraError for a file that cannot be used.
    """

    models: Models
    loras: Sequence[LoraSource]
    images: TrainingSet
    settings: SearchSettings = SearchSettings()
    previews: PreviewSettings | Sequence[PreviewSettings] | None = None
    draws: Iterable[tuple[Tensor, Tensor, Tensor]] | None = None
    cache_folder: Path = field(default_factory=default_folder)

    def __post_init__(self) -> None:
        if not self.loras:
            raise ValueError("There is no LoRA to search block weights for. Add at least one.")
        given = [self.previews] if isinstance(self.previews, PreviewSettings) else self.previews or ()
        object.__setattr__(self, "previews", tuple(given))
        object.__setattr__(self, "loras", told_apart([source.loaded() for source in self.loras]))

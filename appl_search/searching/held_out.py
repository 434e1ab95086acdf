"""Which pictures a search looks at, which it is judged on, and in which parts they are held out in turn."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from ..comparing.comparison import ENOUGH_PICTURES
from ..images.training_set import TrainingSet
from ..settings import SearchSettings

#: From so many pictures on a part of them is kept out unless the settings say otherwise, and which part that is.
BY_ITSELF, PART = 10, 0.2
#: Of fewer pictures none is kept out: each is worth more to the search.
FEWEST = 5
MOST_FOLDS = 5


@dataclass(frozen=True)
class Split:
    """Positions of an epoch's examples.

    ``searched``: what the search draws from. ``held_out``: kept out of it, may be empty. ``folds``: of those searched, in parts of whole
    pictures; empty with fewer than two pictures. ``pictures``: which picture each example of the epoch is of. ``note``: what
    to tell the user, or None.
    """

    searched: tuple[int, ...]
    held_out: tuple[int, ...]
    folds: tuple[tuple[int, ...], ...]
    pictures: tuple[int, ...]
    note: str | None = None

    @property
    def holds_out_enough(self) -> bool:
        """Whether the pictures held out say what to expect of others."""
        return len({self.pictures[place] for place in self.held_out}) >= ENOUGH_PICTURES


def split(images: TrainingSet, items: Sequence[int], settings: SearchSettings, keeps_all: bool = False) -> Split:
    """By the settings and their seed. ``items``: which of the images each example of an epoch is.

    A picture that is repeated is in one part with all its repeats; regularisation pictures are always searched, and in no
    fold. ``keeps_all``: nothing is kept out, whatever the settings say.
    """
    pictures = sorted({item for item in items if not images.is_regularisation(item)})
    random.Random(f"held out {settings.seed}").shuffle(pictures)
    count, note = (0, None) if keeps_all else _how_many(len(pictures), settings.held_out)
    kept_out, rest = set(pictures[:count]), pictures[count:]
    folds = min(MOST_FOLDS, len(rest)) if len(rest) > 1 else 0
    fold_of = {picture: number % folds for number, picture in enumerate(rest)} if folds else {}
    return Split(
        searched=tuple(place for place, item in enumerate(items) if item not in kept_out),
        held_out=tuple(place for place, item in enumerate(items) if item in kept_out),
        folds=tuple(tuple(place for place, item in enumerate(items) if fold_of.get(item) == fold) for fold in range(folds)),
        pictures=tuple(items),
        note=note,
    )


def _how_many(pictures: int, part: float | None) -> tuple[int, str | None]:
    """How many of the pictures are kept out, and a note."""
    if part == 0 or (part is None and pictures < BY_ITSELF):
        return 0, None
    if pictures < FEWEST:
        return 0, f"held_out is {part:g}, but of {pictures} {'image' if pictures == 1 else 'images'} none is kept out of the search."
    part = PART if part is None else part
    return max(1, round(part * pictures)), None

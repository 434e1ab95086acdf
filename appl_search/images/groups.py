"""Pictures of a training set that belong together: of one folder, or with one caption."""

from __future__ import annotations

from collections.abc import Hashable

from .files import FromFile
from .pictures import Example, Picture
from .training_set import TrainingSet

#: More groups than these would have too few samples each, and nobody would read them.
MOST_GROUPS = 8
_LONGEST_NAME = 40


def groups_of(images: TrainingSet) -> list[tuple[str, tuple[int, ...]]]:
    """Each group's name and the positions of its items, in the order that the groups come first; empty where there are none.

    By the folders that the pictures are in where those are several, else by their captions where at least one serves two
    pictures, else each picture by itself; regularisation pictures belong to none. More than MOST_GROUPS are none.
    """
    items = [position for position in range(len(images)) if not images.is_regularisation(position)]
    for key_of in (_folder, _caption, _itself):
        groups: dict[Hashable, list[int]] = {}
        for position in items:
            groups.setdefault(key_of(images.items[position]), []).append(position)
        if None not in groups and 1 < len(groups) <= MOST_GROUPS and (key_of is _itself or len(groups) < len(items)):
            return [(_cut(str(key)), tuple(positions)) for key, positions in groups.items()]
    return []


def _folder(item: Picture | Example) -> str | None:
    return item.source.path.parent.name if isinstance(item, Picture) and isinstance(item.source, FromFile) else None


def _caption(item: Picture | Example) -> str | None:
    return item.caption


def _itself(item: Picture | Example) -> str:
    return item.source.path.name if isinstance(item, Picture) and isinstance(item.source, FromFile) else item.name


def _cut(name: str) -> str:
    name = name.strip() or "no caption"
    return name if len(name) <= _LONGEST_NAME else f"{name[:_LONGEST_NAME - 1]}…"

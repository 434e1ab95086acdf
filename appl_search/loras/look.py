"""How much a LoRA changes each block, from its factors alone: no picture, no prediction, no search.

A norm says how much is added to a block's weights, and nothing of whether that is of use.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from .adapters import adapters_in
from .layout import LoraLayout, layout_of
from .source import LoraSource


@dataclass(frozen=True)
class Change:
    """What a LoRA does to one parameter of a model, or to one layer where no model says which parameters that has.

    ``block``: its index. ``added``: Frobenius norm of what is added at strength 1, ``weight``: of what it is added to; None
    where that is not known without a model.
    """

    block: int
    kind: str
    rank: int | None
    added: float | None
    weight: float | None = None


@dataclass(frozen=True)
class BlockLook:
    """All changes of one block: ``keys`` of the model, kinds of adapters by name, ranks from low to high.

    ``added``, ``weights``: the norms of all its changes together, the root of the sum of their squares; None as in
    :class:`Change`.
    """

    keys: int
    kinds: tuple[str, ...] = ()
    ranks: tuple[int, ...] = ()
    added: float | None = None
    weights: float | None = None

    @property
    def relative(self) -> float | None:
        """What is added as a part of the weights that it is added to."""
        return self.added / self.weights if self.added is not None and self.weights else None


@dataclass(frozen=True)
class LoraLook:
    """A LoRA block by block, in the order of its architecture. ``notes``: what of the file is not loaded."""

    layout: LoraLayout
    blocks: tuple[BlockLook, ...]
    notes: tuple[str, ...] = ()


def look_at_file(source: LoraSource) -> LoraLook:
    """A LoRA without a model: norms of what it adds, where the file says that. Raises LoraError."""
    layout = layout_of(source.file, source.name)
    return collected(layout, changes_in_file(source, layout, layout.groups))


def changes_in_file(source: LoraSource, layout: LoraLayout, groups: Iterable[str]) -> Iterator[Change]:
    """What the file has for these groups of the architecture."""
    architecture, wanted = layout.architecture, set(groups)
    for stem, parts in source.file.stems.items():
        group = architecture.group_of_key(stem)
        if group in wanted:
            for adapter in adapters_in(parts):
                own = adapter.own(parts)
                yield Change(architecture.block_of_group(group), adapter.kind(own), adapter.rank(own), adapter.norm(own))


def collected(layout: LoraLayout, changes: Iterable[Change], notes: Iterable[str] = ()) -> LoraLook:
    """All changes by their blocks."""
    by_block: dict[int, list[Change]] = {}
    for change in changes:
        by_block.setdefault(change.block, []).append(change)
    blocks = (_block(keys, by_block.get(block, [])) for block, keys in enumerate(layout.keys))
    return LoraLook(layout, tuple(blocks), tuple(notes))


def _block(keys: int, changes: list[Change]) -> BlockLook:
    return BlockLook(
        keys=keys,
        kinds=tuple(sorted({change.kind for change in changes})),
        ranks=tuple(sorted({change.rank for change in changes if change.rank is not None})),
        added=_together(change.added for change in changes),
        weights=_together(change.weight for change in changes),
    )


def _together(norms: Iterable[float | None]) -> float | None:
    """The norm of all, None where one is not known or there are none."""
    known = list(norms)
    return None if not known or None in known else math.hypot(*known)

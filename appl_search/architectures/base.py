"""What the rest of the pack has to know of a model family."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property


@dataclass(frozen=True)
class Section:
    """Blocks that stand side by side and are of one kind: ``count`` of them, from block number ``first`` on."""

    name: str
    first: int
    count: int

    @property
    def blocks(self) -> range:
        """The numbers of its blocks."""
        return range(self.first, self.first + self.count)


@dataclass(frozen=True)
class Architecture:
    """A model family: its blocks, each of which gets a rate, and which of them a key belongs to.

    ``name``: in saved files. ``label``: for people. ``blocks``: names, in the order of every array [..., blocks].
    ``sections``: of all the blocks, in order. ``about``: what each block does, for people. ``group_of_key``: the part of
    the model that a key names, as ComfyUI numbers its parts, or None for a key that this family does not have; the key is
    one of the model or the stem of a LoRA file's key in any naming scheme. ``own``: names that only LoRAs of this family
    have. ``content``, ``style``: the blocks that carry what is shown, and how; () where nobody has found out. ``section_of``: the section of the blocks that groups of a name ("input_blocks") stand in; all other groups
    belong to the first block.
    """

    name: str
    label: str
    blocks: tuple[str, ...]
    sections: tuple[Section, ...]
    about: tuple[str, ...]
    group_of_key: Callable[[str], str | None] = field(repr=False)
    section_of: dict[str, Section] = field(repr=False)
    own: re.Pattern[str] = field(repr=False)
    content: tuple[str, ...] = ()
    style: tuple[str, ...] = ()

    def __hash__(self) -> int:
        return hash(self.name)

    @cached_property
    def _index(self) -> dict[str, int]:
        return {name: index for index, name in enumerate(self.blocks)}

    def count(self, keys: Iterable[str]) -> int:
        """How many of these keys this family has."""
        return sum(self.group_of_key(key) is not None for key in keys)

    def is_own(self, key: str) -> bool:
        """Whether only a LoRA of this family would name a key so."""
        return self.own.search(key) is not None

    def block_index(self, name: str) -> int:
        """The place of a block ("IN07", in either case) in arrays; ValueError for any other word."""
        index = self._index.get(name.upper())
        if index is None:
            raise ValueError(f"{name!r} is not an {self.label} block. Expected one of {', '.join(self.blocks)}.")
        return index

    def block_of_group(self, group: str) -> int:
        """Index of the block that a group of ``group_of_key`` belongs to."""
        kind, _, number = group.partition(".")
        section = self.section_of.get(kind)
        if section is None:
            return 0
        return section.first + (int(number) if section.count > 1 else 0)

    def block_of_key(self, key: str) -> int:
        """Index of the block of a key; ValueError for a key that this family does not have."""
        group = self.group_of_key(key)
        if group is None:
            raise ValueError(f"Key {key!r} belongs to no {self.label} block: it is for another model.")
        return self.block_of_group(group)

    def ties(self, tie: str | Mapping[str, str] | None) -> list[tuple[int, ...]]:
        """Groups of block indices that share one rate, together all of them: ``tie`` is that of a LoraSource."""
        if isinstance(tie, Mapping):
            lead = {self.block_index(block): self.block_index(other) for block, other in tie.items()}
            groups: dict[int, list[int]] = {}
            for block in range(len(self.blocks)):
                groups.setdefault(lead.get(block, block), []).append(block)
            return [tuple(group) for group in groups.values()]
        if tie == "all":
            return [tuple(range(len(self.blocks)))]
        if tie == "sections":
            return [tuple(section.blocks) for section in self.sections]
        return [(block,) for block in range(len(self.blocks))]

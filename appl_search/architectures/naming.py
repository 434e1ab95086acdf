"""Blocks as people name them: IN04, in04, IN4, IN00-IN03, IN, ALL."""

from __future__ import annotations

import re
from collections.abc import Sequence

from .base import Architecture

ALL = "ALL"
_SHOWN = 120  # characters of a word in a message
_RANGE = re.compile(r"([A-Z]+\d*)\s*-\s*([A-Z]*\d*)", re.ASCII)
_NUMBERED = re.compile(r"([A-Z]+)(\d{1,3})", re.ASCII)


def blocks_named(text: str, architecture: Architecture) -> list[int]:
    """The blocks of a list with commas, of names, ranges and sections, as they come. ValueError for another word."""
    return [block for word in text.split(",") for block in _blocks(word, architecture)]


def _blocks(word: str, architecture: Architecture) -> Sequence[int]:
    name = word.strip().upper()
    if name == ALL:
        return range(len(architecture.blocks))
    for section in architecture.sections:
        if name == section.name:
            return section.blocks
    if match := _RANGE.fullmatch(name):
        first, last = match.groups()
        if last.isdigit():  # IN00-03
            last = first.rstrip("0123456789") + last
        start, end = (block_named(each, architecture) for each in (first, last))
        if start > end:
            raise ValueError(f"the range {word.strip()[:_SHOWN]!r} ends before it begins. Expected the first block first.")
        return range(start, end + 1)
    return [block_named(word, architecture)]


def block_named(word: str, architecture: Architecture) -> int:
    """The index of one block by its name, whose number may lack zeros. ValueError for another word."""
    name = word.strip().upper()
    if name in architecture.blocks:
        return architecture.blocks.index(name)
    if match := _NUMBERED.fullmatch(name):
        for section in architecture.sections:
            if section.name == match[1] and int(match[2]) < section.count > 1:
                return section.blocks[int(match[2])]
    names, sections = architecture.blocks, architecture.sections
    ranges = [f"{names[one.first]}-{names[one.first + one.count - 1]}" if one.count > 1 else one.name for one in sections]
    raise ValueError(
        f"{word.strip()[:_SHOWN]!r} is no block of {architecture.label}. Expected one of {', '.join(ranges)}; or, where several are "
        f"meant, a section ({', '.join(one.name for one in sections)}), a range or {ALL}."
    )

"""Inspire Pack's vector: one number for each block that *this* LoRA has, in the order of its keys.

Source of the rules: ``inspire/lora_block_weight.py`` of ComfyUI-Inspire-Pack (September 2025), seen running.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import chain, islice, repeat

from ...loras.layout import LoraLayout
from ..block_weights import BlockWeights
from .base import shortened, title
from .decimals import read_number, write_number
from .plain import preset_hint

#: A shorter vector is taken for the name of a preset.
LEAST = 12
#: What the letters A and B stand for unless the node's widgets say otherwise; a and b are half of it.
LETTER_A, LETTER_B = 4.0, 1.0
#: No program has vectors of more values; Inspire itself would go on.
_MOST = 100
_RANDOM = frozenset("RrUu")

_SECTIONS = ("input_blocks", "middle_block", "output_blocks")
_BASE = 0


def unet_groups(layout: LoraLayout, section: str) -> list[str]:
    """The parts of a section ("input_blocks") that the LoRA has keys for, in order."""
    groups = [group for group, count in layout.groups.items() if count and group.startswith(f"{section}.")]
    return sorted(groups, key=lambda group: int(group.partition(".")[2]))


def positions(layout: LoraLayout) -> list[list[str]]:
    """What each number after the first one rates: one group or, where Inspire cannot tell them apart, several.

    The position advances when the number of a key's block differs from that of the key before it, whatever the
    section. So blocks without keys have no position, the three parts of the middle block have one each, and
    neighbours like middle_block.1 and output_blocks.1 (with no output_blocks.0 between) share one.
    """
    result: list[list[str]] = []
    last = None
    for section in _SECTIONS:
        for group in unet_groups(layout, section):
            number = group.partition(".")[2]
            if number == last:
                result[-1].append(group)
            else:
                result.append([group])
            last = number
    return result


def write_vector(weights: BlockWeights, digits: int) -> str:
    """The vector of these rates; groups that share a position get theirs once per key, separated by spaces."""
    keys, block_of_group = weights.layout.groups, weights.layout.architecture.block_of_group
    entries = [write_number(weights.values[_BASE], digits)]
    for groups in positions(weights.layout):
        rates: list[str] = []
        for group in groups:
            rates += [write_number(weights.values[block_of_group(group)], digits)] * keys[group]
        while len(rates) > 1 and rates[-1] == rates[-2]:  # the last rate holds for all keys that are left
            rates.pop()
        entries.append(" ".join(rates))
    return ",".join(entries + ["0"] * (LEAST - len(entries)))


def read_vector(text: str, layout: LoraLayout, letters: Mapping[str, float], surplus: bool = False) -> BlockWeights:
    """The rates of a vector. ``letters``: values of A and B. ``surplus``: more values than positions are all right.

    Raises ValueError for another number of values than this LoRA has positions for (or at least 12), for a random
    rate, and where keys of one of our blocks get different rates.
    """
    entries = text.split(",")
    places, blocks = [["BASE"], *positions(layout)], layout.architecture.blocks
    enough = max(len(places), LEAST) <= len(entries) <= _MOST
    if not enough or (len(entries) > len(places) >= LEAST and not surplus):
        raise ValueError(
            f"{title(layout)}: {_expected(places, layout)}; got {len(entries)}: {shortened(text)}. "
            f"Give a number for each of these, or all {len(blocks)} blocks as format 'plain'.{preset_hint(text)}"
        )
    letters = {**letters, **{letter.lower(): value / 2 for letter, value in letters.items()}}
    places += [[]] * (len(entries) - len(places))
    numbers = [
        _read_entry(entry, letters, f"{title(layout)}, {_name(groups, layout)}")
        for entry, groups in zip(entries, places, strict=True)
    ]
    rates: dict[int, dict[tuple[str, float], None]] = {}
    for groups, given in zip(places[1:], numbers[1:], strict=True):
        keys = [group for group in groups for _ in range(layout.groups[group])]
        for group, rate in zip(keys, chain(given, repeat(given[-1])), strict=False):
            rates.setdefault(layout.architecture.block_of_group(group), {})[group, rate] = None
    values = [0.0] * len(blocks)
    values[_BASE] = numbers[0][0]  # of a sub-vector Inspire uses the first number there
    for block, found in rates.items():
        values[block] = _only_rate(block, found, layout)
    return BlockWeights(layout, tuple(values))


def check_vector(text: str, what: str) -> None:
    """Raises ValueError, which begins with ``what``, for a text that is a vector for no LoRA: for its first wrong entry."""
    for entry in text.split(","):
        for part in entry.strip().split(" "):
            if part not in _RANDOM and part.upper() not in ("A", "B"):
                read_number(part, what, plain=True)


def unused_numbers(text: str, layout: LoraLayout) -> list[float]:
    """The padding of a vector of plain numbers that :func:`read_vector` reads."""
    return [read_number(entry, "padding") for entry in text.split(",")[1 + len(positions(layout)) :]]


def _only_rate(block: int, found: Iterable[tuple[str, float]], layout: LoraLayout) -> float:
    """The rate of a block from the (group, rate) pairs of its keys."""
    first, *others = dict.fromkeys(rate for _, rate in found)
    if others:
        parts = ", ".join(f"{group} {rate:g}" for group, rate in islice(found, 4))
        raise ValueError(
            f"{title(layout)}: the vector gives {layout.architecture.blocks[block]} different rates ({parts}), and here "
            "a block has one. Write one number for all of it."
        )
    return first


def _read_entry(entry: str, letters: Mapping[str, float], what: str) -> list[float]:
    rates = []
    for part in entry.strip().split(" "):
        if part in _RANDOM:
            raise ValueError(f"{what}: {part!r} is a random rate, drawn anew on each use. Expected a number.")
        rates.append(letters[part] if part in letters else read_number(part, what, plain=True))
    return rates


def _name(groups: list[str], layout: LoraLayout) -> str:
    blocks = []
    for group in groups:
        name = layout.architecture.blocks[layout.architecture.block_of_group(group)]
        blocks.append(f"{name} ({group})" if group.startswith("middle_block.") else name)
    return "+".join(blocks) or "padding"


def _expected(places: list[list[str]], layout: LoraLayout) -> str:
    names = ", ".join(_name(groups, layout) for groups in places)
    if len(places) < LEAST:
        return f"expected {LEAST} values or more: {names}, and padding"
    return f"expected {len(places)} values: {names}"

"""Which blocks of a LoRA are searched, which are fixed and which share a rate: as a text that people write, and back.

    IN00-IN03 = 0; MID = search; OUT03-OUT05 = same as OUT02; BASE = 0.8

Rules stand between semicolons or in lines of their own. Left: blocks, ranges of them, sections (IN, OUT) or ALL, with
commas between. Right: ``search``, a rate to fix them at, ``start`` to leave them where the search starts, or ``same as``
a block whose rate they have. Of two rules for one block the later one counts; blocks without a rule are searched. The
name of a preset may stand first. Which names of blocks there are, the architecture says.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from ..architectures import ALL, TEXT_ENCODERS, Architecture, block_named, blocks_named
from .errors import cut
from .source import LoraSource

SEARCH, START, SAME_AS = "search", "start", "same as"
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?", re.ASCII)




def _only(blocks: str) -> Callable[[Architecture], str]:
    """A preset that searches the "content" or "style" blocks and switches off all others."""

    def text(architecture: Architecture) -> str:
        names = getattr(architecture, blocks)
        if not names:
            raise ValueError(f"Block rules: which blocks of {architecture.label} carry the {blocks} is not known. Name blocks of your own instead.")
        return f"{ALL} = 0; {', '.join(names)} = {SEARCH}"

    return text


#: Texts by their names, for an architecture.
PRESETS: dict[str, Callable[[Architecture], str]] = {
    "everything searched": lambda architecture: "",
    "character blocks only": _only("content"),
    "style blocks only": _only("style"),
    "one rate per section": lambda architecture: "; ".join(
        f"{section.name} = {SAME_AS} {architecture.blocks[section.first]}" for section in architecture.sections
    ),
    "one rate for all": lambda architecture: f"{ALL} = {SAME_AS} {architecture.blocks[0]}",
    "text encoder fixed": lambda architecture: f"{architecture.blocks[architecture.block_of_group(TEXT_ENCODERS)]} = {START}",
}


@dataclass(frozen=True)
class Fixed:
    """A rate that is not searched; None for the one that the search starts from."""

    rate: float | None


@dataclass(frozen=True)
class SameAs:
    """A rate that is that of another block, by its index."""

    block: int


#: What becomes of a block's rate; None: it is searched.
Rule = Fixed | SameAs | None


@dataclass(frozen=True)
class BlockRules:
    """A rule for each block of an architecture.

    ``rules``: in the order of its blocks. Of blocks that share a rate, all but the first are the same as that first one.
    """

    architecture: Architecture
    rules: tuple[Rule, ...]

    @classmethod
    def none(cls, architecture: Architecture) -> BlockRules:
        """Every block is searched, for itself."""
        return cls(architecture, (None,) * len(architecture.blocks))

    @classmethod
    def parse(cls, text: str, architecture: Architecture) -> BlockRules:
        """The rules of a text. Raises ValueError that names the part of it that cannot be read."""
        return cls.none(architecture).overridden(text)

    @classmethod
    def of(cls, source: LoraSource, architecture: Architecture) -> BlockRules:
        """The rules that a source has by its ``fixed`` and ``tie``."""
        rules: list[Rule] = [None] * len(architecture.blocks)
        for name, rate in source.fixed.items():
            rules[architecture.block_index(name)] = Fixed(rate)
        for group in architecture.ties(source.tie):
            free = [block for block in group if rules[block] is None]
            for block in free[1:]:
                rules[block] = SameAs(free[0])
        return cls(architecture, tuple(rules))

    def overridden(self, text: str) -> BlockRules:
        """These rules but for the blocks that a text names; a preset names all of them.

        Blocks that shared a rate with one of those go on without it. Raises ValueError as :meth:`parse` does.
        """
        before, said, parts = self, {}, rules_in(text)
        if parts and (preset := PRESETS.get(parts[0].lower())) is not None:
            before, parts = BlockRules.parse(preset(self.architecture), self.architecture), parts[1:]
        for part in parts:
            blocks, rule = _read(part, self.architecture)
            said |= {block: rule for block in blocks if rule != SameAs(block)}
        return BlockRules(self.architecture, tuple(_settled(before.rules, said)))

    def applied_to(self, source: LoraSource, init: float) -> LoraSource:
        """The source with these rules in the place of its own. ``init``: where blocks start that its ``start`` does not name."""
        names = self.architecture.blocks
        fixed, tie = {}, {}
        for name, rule in zip(names, self.rules):
            if isinstance(rule, Fixed):
                fixed[name] = source.start.get(name, init) if rule.rate is None else rule.rate
            elif isinstance(rule, SameAs):
                tie[name] = names[rule.block]
        return replace(source, fixed=fixed, tie=tie or None)

    def text(self) -> str:
        """The shortest text that :meth:`parse` makes these rules of; empty when every block is searched for itself."""
        by_value: dict[str, list[int]] = {}
        for block, rule in enumerate(self.rules):
            if rule is not None:
                by_value.setdefault(self.value(block), []).append(block)
        return "; ".join(f"{', '.join(self._names(blocks))} = {value}" for value, blocks in by_value.items())

    def note(self, block: int) -> str:
        """What people should know of a block's rate: "fixed", "same as OUT02", or nothing."""
        return "fixed" if isinstance(self.rules[block], Fixed) else self.value(block) if self.rules[block] else ""

    def value(self, block: int) -> str:
        """The right side of a block's rule: "search", "0.8", "start", "same as OUT02"."""
        rule = self.rules[block]
        if isinstance(rule, SameAs):
            return f"{SAME_AS} {self.architecture.blocks[rule.block]}"
        if rule is None:
            return SEARCH
        return START if rule.rate is None else _written(rule.rate)

    def _names(self, blocks: Sequence[int]) -> Iterator[str]:
        """Names for some blocks: sections and ranges within a section where they fit."""
        names = self.architecture.blocks
        if len(blocks) == len(names):
            yield ALL
            return
        for section in self.architecture.sections:
            # In a run of neighbours, a block's number and its place in the list differ by the same.
            there = [block for block in section.blocks if block in blocks]
            for _, numbered in groupby(enumerate(there), lambda pair: pair[1] - pair[0]):
                run = [block for _, block in numbered]
                if len(run) == section.count:
                    yield section.name
                else:
                    yield names[run[0]] if len(run) == 1 else f"{names[run[0]]}-{names[run[-1]]}"


def by_lora(text: str, names: Sequence[str]) -> list[str]:
    """The rules of each LoRA in a text for several: "NAME: rules" in a line for one of them, rules alone for all.

    ``names``: of the LoRAs, in their order. A number from 1 on may stand for a name, for LoRAs that have the same. Raises
    ValueError for another name.
    """
    lines: list[list[str]] = [[] for _ in names]
    longest_first = sorted(names, key=len, reverse=True)
    for line in filter(None, map(str.strip, text.splitlines())):
        head = next((name for name in longest_first if line.startswith(f"{name}:")), None)
        rest = line[len(head) + 1 :] if head is not None else line
        meant = [place for place, name in enumerate(names) if head in (None, name)]
        if head is None and ":" in line:
            before, _, rest = line.partition(":")
            meant = [place for place in range(len(names)) if before.strip() == str(place + 1)]
            if not meant:
                raise ValueError(
                    f"Block rules: {_quoted(line)}: there is no LoRA {_quoted(before.strip())}. Expected one of "
                    f"{', '.join(map(cut, names))}, or its number (1 to {len(names)})."
                )
        for place in meant:
            lines[place].append(rest.strip())
    return ["\n".join(each) for each in lines]


def rules_in(text: str) -> list[str]:
    """The rules of a text, each as it is written."""
    return [part for part in map(str.strip, re.split(r"[;\n]", text)) if part]


def _settled(before: Sequence[Rule], said: Mapping[int, Rule]) -> Iterator[Rule]:
    """All rules, where blocks are the same as the first one of those that share their rate, or fixed if that one is."""
    groups: dict[object, int] = {}  # the first block of each
    for block in range(len(before)):
        end, path = block, []
        while end in said and isinstance(rule := said[end], SameAs) and end not in path:
            path.append(end)
            end = rule.block
        rule = said[end] if end in said else before[end]
        if isinstance(rule, Fixed):
            yield rule
            continue
        if end in path:  # they name each other in a circle
            shared: object = min(path[path.index(end) :])
        elif end in said:
            shared = end
        else:
            # Those that shared a rate before, whatever the first of them was.
            shared = ("before", rule.block if isinstance(rule, SameAs) else end)
        first = groups.setdefault(shared, block)
        yield None if first == block else SameAs(first)


def _read(part: str, architecture: Architecture) -> tuple[list[int], Rule]:
    left, has_value, right = part.partition("=")
    words = " ".join(right.split())
    if not has_value or not words or not left.strip():
        names = architecture.blocks
        raise ValueError(
            f"Block rules: {_quoted(part)}: expected blocks, '=' and what becomes of them, such as {names[1]}-{names[3]} = 0; "
            f"or, in front of all other rules, one of {', '.join(PRESETS)}."
        )
    try:
        blocks = blocks_named(left, architecture)
        same_as = block_named(words[len(SAME_AS) :], architecture) if words.lower().startswith(f"{SAME_AS} ") else None
    except ValueError as error:
        raise ValueError(f"Block rules: {_quoted(part)}: {error}") from None
    if words.lower() in (SEARCH, START):
        return blocks, None if words.lower() == SEARCH else Fixed(None)
    if same_as is not None:
        return blocks, SameAs(same_as)
    if _NUMBER.fullmatch(words.lower()) and math.isfinite(rate := float(words)):
        return blocks, Fixed(rate)
    raise ValueError(
        f"Block rules: {_quoted(part)}: {_quoted(words)} is no rule. Expected {SEARCH}, a number such as 0.5 to fix the rate at, "
        f"{START} to leave it where the search starts, or '{SAME_AS} {architecture.blocks[-1]}' to have the rate of a block."
    )


def _written(rate: float) -> str:
    """The shortest number that is read as this one."""
    short = f"{rate:g}"
    return short if float(short) == rate else repr(rate)


def _quoted(text: str) -> str:
    return repr(cut(text))

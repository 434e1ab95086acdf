"""Which LoRA is searched, and how."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from ..architectures import ARCHITECTURES, labels
from .files import LoraFile, read_lora

_TIES = (None, "sections", "all")


@dataclass(frozen=True)
class LoraSource:
    """One LoRA of a search.

    ``path``: a safetensors file. ``name``: shown in results, the file's stem unless given.
    ``fixed``: rates that are not searched, by block name ({"IN07": 0.0}). ``tie``: None for one rate
    per block, "sections" for one each for BASE, IN, MID and OUT, "all" for a single rate, or blocks that have the rate of
    another one ({"OUT03": "OUT02"}); what is fixed is tied to nothing. :mod:`appl_search.loras.rules` has both as a text.
    ``start``: rates to start from, by block name; blocks not named start at ``SearchSettings.init``.
    ``contents``: what the file held when it was read; None until :meth:`loaded`.

    Raises ValueError for an unknown block name or tie.
    """

    path: str | Path
    name: str = ""
    fixed: Mapping[str, float] = field(default_factory=dict)
    tie: str | Mapping[str, str] | None = None
    start: Mapping[str, float] = field(default_factory=dict)
    contents: LoraFile | None = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "path", Path(self.path))
        object.__setattr__(self, "name", self.name or self.path.stem)
        for what in ("fixed", "start"):
            object.__setattr__(self, what, {_block(name): float(rate) for name, rate in getattr(self, what).items()})
        if isinstance(self.tie, Mapping):
            object.__setattr__(self, "tie", _checked_ties(self.tie))
        elif self.tie not in _TIES:
            raise ValueError(f"LoraSource(tie={self.tie!r}): expected None, 'sections', 'all', or blocks by name.")

    def loaded(self) -> LoraSource:
        """The same with the file's contents in memory: whatever becomes of the file, they stay. Raises LoraError."""
        return self if self.contents is not None else replace(self, contents=read_lora(self.path))

    @property
    def file(self) -> LoraFile:
        """The file's contents, read now unless they were. Raises LoraError."""
        return self.contents if self.contents is not None else read_lora(self.path)


def _block(name: str) -> str:
    """The name of a block of any architecture, in upper case; which one the file is for is not known before it is read."""
    known = dict.fromkeys(block for architecture in ARCHITECTURES.values() for block in architecture.blocks)
    if name.upper() not in known:
        raise ValueError(f"{name!r} is not an {labels()} block. Expected one of {', '.join(known)}.")
    return name.upper()


def _checked_ties(tie: Mapping[str, str]) -> dict[str, str]:
    """Blocks by the names of those that are tied to them. ValueError for a block that is tied to one that is tied itself."""
    ties = {_block(block): _block(other) for block, other in tie.items()}
    if chained := [block for block, other in ties.items() if other in ties]:
        other = ties[chained[0]]
        raise ValueError(f"LoraSource(tie={dict(tie)!r}): {chained[0]} is tied to {other}, which is tied to {ties[other]}. Tie both to that one.")
    return ties


def told_apart(sources: Sequence[LoraSource]) -> list[LoraSource]:
    """The same LoRAs with another name for each file: with folders in front as far as they are needed, else a number."""
    named = list(sources)
    for depth in range(1, max((len(source.path.parts) for source in sources), default=0)):
        clashes = _names_of_several(named)
        for index, source in enumerate(sources):
            if named[index].name in clashes:
                named[index] = replace(source, name="/".join([*source.path.parts[-1 - depth : -1], source.name]))
    for name in _names_of_several(named):
        paths = list(dict.fromkeys(source.path for source in named if source.name == name))
        for index, source in enumerate(named):
            if source.name == name:
                named[index] = replace(source, name=f"{sources[index].name} ({paths.index(source.path) + 1})")
    return named


def _names_of_several(sources: Sequence[LoraSource]) -> set[str]:
    """The names that more than one file has."""
    files = {(source.name, source.path) for source in sources}
    return {name for name, count in Counter(name for name, _ in files).items() if count > 1}

"""What a LoRA file holds for which block."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

from ..architectures import DEFAULT, Architecture, architecture_of_keys, labels
from .adapters import adapters_in
from .errors import LoraError, cut
from .files import FileState, LoraFile, read_lora, state_of
from .source import LoraSource


@dataclass(frozen=True)
class LoraLayout:
    """What a LoRA file holds: enough for every block-weight string, without its tensors.

    ``groups``: number of model keys that the file patches, by group of its ``architecture`` (weights and biases count
    one each, as ComfyUI counts them). ``sha256``: of the file's bytes, in hex.
    """

    name: str
    sha256: str
    groups: Mapping[str, int]
    architecture: Architecture = DEFAULT

    @property
    def keys(self) -> tuple[int, ...]:
        """For each block of the architecture: how many model keys the file patches there."""
        counts = [0] * len(self.architecture.blocks)
        for group, count in self.groups.items():
            counts[self.architecture.block_of_group(group)] += count
        return tuple(counts)

    @property
    def present(self) -> tuple[bool, ...]:
        """For each block of the architecture: whether the file has any key for it."""
        return tuple(count > 0 for count in self.keys)


def read_layout(source: LoraSource) -> LoraLayout:
    """The layout of a LoRA file, by the names of its keys. Raises :class:`LoraError`."""
    if source.contents is not None:
        return layout_of(source.contents, source.name)
    return replace(_layout_of_state(state_of(source.path)), name=source.name)


@lru_cache(maxsize=256)
def _layout_of_state(state: FileState) -> LoraLayout:
    """Kept by itself: a layout is small, the file that it is read from is not."""
    return layout_of(read_lora(state.path), state.path.stem)


def layout_of(file: LoraFile, name: str, first: Architecture | None = None) -> LoraLayout:
    """The layout of a file, named ``name``. Raises LoraError when nothing in it is for a known architecture.

    ``first``: the architecture that is meant where the file's names fit several.
    """
    counts = {stem: len({p for kind in adapters_in(parts) for p in kind.parameters(parts)}) for stem, parts in file.stems.items()}
    stems = [stem for stem, count in counts.items() if count]
    architecture = architecture_of_keys(stems, first)
    groups: dict[str, int] = {}
    for stem in stems:
        if (group := architecture.group_of_key(stem)) is not None:
            groups[group] = groups.get(group, 0) + counts[stem]
    if not groups:
        shown = ", ".join(map(cut, (stems or list(file.tensors))[:3])) or "no keys at all"
        reason = f"is for another model than {labels()}" if stems else "is not a LoRA"
        raise LoraError(
            f"LoRA file {file.path} {reason}: none of its {len(file.tensors)} keys patches an {labels()} block (it has {shown})."
        )
    return LoraLayout(name, file.sha256, groups, architecture)

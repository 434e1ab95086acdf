"""What a LoRA file holds for which block."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from ..architectures.blocks import NUM_BLOCKS, block_of_group, group_of_key
from .adapters import adapters_in
from .errors import LoraError, cut
from .files import FileState, LoraFile, read_lora, state_of
from .source import LoraSource

log = logging.getLogger("appl_search")


@dataclass(frozen=True)
class LoraLayout:
    """What a LoRA file holds: enough for every block-weight string, without its tensors.

    ``groups``: number of model keys that the file patches, by group of
    :func:`appl_search.architectures.blocks.group_of_key` (weights and biases count one each, as ComfyUI counts
    them). ``sha256``: of the file's bytes, in hex.
    """

    name: str
    sha256: str
    groups: Mapping[str, int]

    @property
    def present(self) -> tuple[bool, ...]:
        """For each of the 20 blocks: whether the file has any key for it."""
        blocks = {block_of_group(group) for group, count in self.groups.items() if count}
        return tuple(block in blocks for block in range(NUM_BLOCKS))


def read_layout(source: LoraSource) -> LoraLayout:
    """The layout of a LoRA file, by the names of its keys. Raises :class:`LoraError`."""
    if source.contents is not None:
        file = source.contents
        return LoraLayout(source.name, file.sha256, count_groups(file))
    sha256, groups = _sha256_and_groups(state_of(source.path))
    return LoraLayout(source.name, sha256, groups)


@lru_cache(maxsize=256)
def _sha256_and_groups(state: FileState) -> tuple[str, Mapping[str, int]]:
    """Kept by itself: a layout is small, the file that it is read from is not."""
    file = read_lora(state.path)
    return file.sha256, count_groups(file)


def count_groups(file: LoraFile) -> dict[str, int]:
    """The number of model keys that a file patches, by group. Raises LoraError when it is none."""
    groups: dict[str, int] = {}
    foreign: list[str] = []
    for stem, parts in file.stems.items():
        group = group_of_key(stem)
        count = len({parameter for adapter in adapters_in(parts) for parameter in adapter.parameters(parts)})
        if not count:
            continue
        if group is None:
            foreign.append(stem)
        else:
            groups[group] = groups.get(group, 0) + count
    if not groups:
        shown = ", ".join(map(cut, list(foreign or file.tensors)[:3])) or "no keys at all"
        reason = "is for another model than SDXL" if foreign else "is not a LoRA"
        raise LoraError(
            f"LoRA file {file.path} {reason}: none of its {len(file.tensors)} keys patches an SDXL block (it has {shown})."
        )
    if foreign:
        log.warning(
            "LoRA file %s: %d layers belong to no SDXL block and are ignored, e.g. %s", file.path, len(foreign), cut(foreign[0])
        )
    return groups

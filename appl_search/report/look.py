"""What a look at a LoRA shows, as a table and in words."""

from __future__ import annotations

from collections.abc import Sequence

from ..loras.look import BlockLook, LoraLook

_MOST = 3  # blocks that the words name
#: Said wherever norms are shown.
NO_SEARCH = (
    "This is how much the LoRA changes the weights, not what that is good for: a block that is changed much may do nothing for "
    "your pictures, and one that is changed little may carry what you want. Only a search tells, from pictures."
)


def look_table(look: LoraLook) -> list[str]:
    """A line for each block: keys, kinds, ranks, the norm of what is added, and that relative to the weights where known."""
    head = ["block", "keys", "kind", "rank", "norm added", "of its weights"]
    rows = [_row(name, block) for name, block in zip(look.layout.architecture.blocks, look.blocks)]
    columns = len(head) if any(block.relative is not None for block in look.blocks) else len(head) - 1
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(columns)]
    align = [str.ljust, str.rjust, str.ljust, str.ljust, str.rjust, str.rjust]
    return ["  ".join(put(cell, width) for put, cell, width in zip(align, row, widths)).rstrip() for row in [head, *rows]]


def look_words(look: LoraLook) -> str:
    """Which blocks are changed most, what is not known, and what none of this says."""
    named = list(zip(look.layout.architecture.blocks, look.blocks))
    relative = {name: block.relative for name, block in named if block.relative is not None}
    added = {name: block.added for name, block in named if block.added is not None}
    found = []
    if relative:
        most = _most(relative)
        found.append(f"The weights of {_listed(most)} are changed most, by {_listed([f'{relative[name]:.2%}' for name in most])} of their norm.")
    elif added:
        most = _most(added)
        found.append(
            f"Most is added to {_listed(most)}, but large blocks have large norms. With a MODEL, norms are shown relative to the weights."
        )
    if unknown := [name for name, block in named if block.keys and block.added is None]:
        found.append(f"What is added to {_listed(unknown)} is made from the model's weights, and is known only with a MODEL.")
    found.append(NO_SEARCH)
    return " ".join(found)


def _row(name: str, block: BlockLook) -> list[str]:
    if not block.keys:
        return [name, "-", "", "", "", ""]
    added = "?" if block.added is None else f"{block.added:.3g}"
    relative = "?" if block.relative is None else f"{block.relative:.2%}"
    return [name, str(block.keys), ", ".join(block.kinds), _ranks(block.ranks), added, relative]


def _ranks(ranks: Sequence[int]) -> str:
    if len(ranks) < 4:
        return ", ".join(map(str, ranks)) or "-"
    return f"{ranks[0]} to {ranks[-1]}"


def _most(values: dict[str, float]) -> list[str]:
    return sorted(values, key=values.__getitem__, reverse=True)[:_MOST]


def _listed(names: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))

"""What is switched off or looked at as one: a block of a LoRA, or several that share one rate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from ..weights.fields import Fields, whole, wrong

_LISTED = 3


@dataclass(frozen=True)
class Unit:
    """``lora``: which of the search's LoRAs. ``blocks``: indices of the blocks that share a rate, at least one."""

    lora: int
    blocks: tuple[int, ...]

    def name(self, loras: Sequence[str], blocks: Sequence[str]) -> str:
        """For people: "OUT00", "IN04 and IN05", "IN04, IN05 and 3 more", and "OUT00 (style)" where there are several LoRAs."""
        named = listed([blocks[block] for block in self.blocks])
        return f"{named} ({loras[self.lora]})" if len(loras) > 1 else named


def listed(names: Sequence[str], most: int = _LISTED) -> str:
    """Names as a list in a sentence; of more than ``most`` the first ones."""
    if len(names) > most:
        names = [*names[: most - 1], f"{len(names) - most + 1} more"]
    return " and ".join([*([", ".join(names[:-1])] if len(names) > 1 else []), names[-1]])


def units_of(parameter_of: Tensor) -> tuple[Unit, ...]:
    """The unit of each parameter [p]. ``parameter_of`` [LoRAs, blocks]: -1 for rates that are none."""
    found: dict[int, tuple[int, list[int]]] = {}
    for lora, row in enumerate(parameter_of.tolist()):
        for block, parameter in enumerate(row):
            if parameter >= 0:
                found.setdefault(parameter, (lora, []))[1].append(block)
    return tuple(Unit(lora, tuple(blocks)) for _, (lora, blocks) in sorted(found.items()))


def units_to_list(units: Sequence[Unit]) -> list[list[int]]:
    """JSON-ready: for each unit its LoRA and then its blocks."""
    return [[unit.lora, *unit.blocks] for unit in units]


def units_from_fields(fields: Fields, name: str, shape: tuple[int, int]) -> tuple[Unit, ...]:
    """The inverse of :func:`units_to_list`, for ``shape`` LoRAs, blocks. ValueError names the field that is wrong."""
    units = []
    for number, entry in enumerate(fields.list(name)):
        place = f"{fields.place(name)}[{number}]"
        if not isinstance(entry, list) or len(entry) < 2:
            raise wrong(place, entry, "a list of a LoRA's number and those of its blocks")
        lora, *blocks = (whole(one, f"{place}[{i}]", 0, (shape[0] if i == 0 else shape[1]) - 1) for i, one in enumerate(entry))
        units.append(Unit(lora, tuple(blocks)))
    return tuple(units)

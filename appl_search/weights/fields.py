"""JSON that others may have written, taken out field by field: every error names the field, what is in it and what was expected."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from .registry import shortened

_MISSING = object()


def read_json(text: str) -> Any:
    """Like ``json.loads``, but strict: no NaN, no infinity, no name twice. ValueError for what is not JSON, in few words."""
    try:
        return json.loads(text, parse_constant=_not_json, object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{shortened(text)} is not JSON ({shortened(str(error), 120)}).") from error


def _not_json(word: str) -> None:
    raise ValueError(f"{word} is not a number in JSON")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in found if names.count(name) > 1)
        raise ValueError(f"the name {shortened(twice)} is there twice")
    return found


class Fields:
    """An object of JSON. ``place``: how messages call it, "" for the whole text."""

    def __init__(self, data: Any, place: str = ""):
        if not isinstance(data, Mapping):
            raise wrong(place or "the whole", data, "an object with named fields")
        self._data = data
        self._place = place

    def place(self, name: str) -> str:
        """How messages call a field."""
        return f"{self._place}.{name[:40]}" if self._place else name[:40]

    def items(self) -> list[tuple[str, Any]]:
        return [(str(name), value) for name, value in self._data.items()]

    def has(self, name: str) -> bool:
        """Whether a field is there and not null."""
        return self._data.get(name) is not None

    def any(self, name: str) -> Any:
        if (value := self._data.get(name, _MISSING)) is _MISSING:
            raise ValueError(f"There is no field {self.place(name)}. Expected a result saved by this pack; the file is incomplete.")
        return value

    def object(self, name: str) -> Fields:
        return Fields(self.any(name), self.place(name))

    def objects(self, name: str) -> list[Fields]:
        """A list of at least one object."""
        found = self.list(name)
        if not found:
            raise wrong(self.place(name), found, "at least one entry")
        return [Fields(one, f"{self.place(name)}[{number}]") for number, one in enumerate(found)]

    def list(self, name: str) -> list:
        value = self.any(name)
        if not isinstance(value, list):
            raise wrong(self.place(name), value, "a list")
        return value

    def text(self, name: str, most: int = 1000) -> str:
        value = self.any(name)
        if not isinstance(value, str) or len(value) > most:
            raise wrong(self.place(name), value, f"a text of at most {most} characters")
        return value

    def texts(self, name: str, most: int = 1000) -> tuple[str, ...]:
        """A list of texts of at most so many characters each."""
        listed = {str(number): value for number, value in enumerate(self.list(name))}
        return tuple(Fields(listed, self.place(name)).text(number, most) for number in listed)

    def number(self, name: str, least: float = -math.inf) -> float:
        return finite(self.any(name), self.place(name), least)

    def whole(self, name: str, least: int, most: int) -> int:
        return whole(self.any(name), self.place(name), least, most)

    def tensor(self, name: str, shape: Sequence[int | None], dtype: torch.dtype = torch.float64) -> Tensor:
        """Lists of lists of finite numbers. ``shape``: None where any length is right."""
        value, place = self.any(name), self.place(name)
        lengths = _lengths(value, place, tuple(shape))
        tensor = torch.tensor(value, dtype=torch.float64).reshape(lengths).to(dtype)
        if not tensor.isfinite().all():
            raise ValueError(f"{place} has a number that is too large.")
        return tensor


def finite(value: Any, place: str, least: float = -math.inf) -> float:
    """A number of JSON as a float; ValueError for anything else."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) <= 1e300 or value < least:
        raise wrong(place, value, "a finite number" + (f" of at least {least:g}" if least > -math.inf else ""))
    return float(value)


def whole(value: Any, place: str, least: int, most: int) -> int:
    """A whole number of JSON within limits; ValueError for anything else."""
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise wrong(place, value, f"a whole number from {least} to {most}")
    return value


def wrong(place: str, value: Any, expected: str) -> ValueError:
    """The error for a field with a wrong value."""
    if isinstance(value, (list, dict)):
        shown = f"{'a list' if isinstance(value, list) else 'an object'} of {len(value)}"
    else:
        shown = shortened(value) if isinstance(value, str) else repr(value)[:60]
    return ValueError(f"{place} is {shown}, expected {expected}.")


def _lengths(value: Any, place: str, shape: tuple[int | None, ...]) -> list[int]:
    """The lengths of lists in lists, the first of each level; ValueError where they are not all of ``shape`` and of numbers."""
    if not isinstance(value, list) or shape[0] not in (None, len(value)):
        raise wrong(place, value, f"a list of {'numbers' if shape[0] is None else shape[0]}")
    if len(shape) == 1:
        for number, one in enumerate(value):
            finite(one, f"{place}[{number}]")
        return [len(value)]
    inner = [_lengths(one, f"{place}[{number}]", shape[1:]) for number, one in enumerate(value)]
    if any(lengths != inner[0] for lengths in inner):
        raise ValueError(f"{place} has lists of different lengths.")
    return [len(value), *(inner[0] if inner else [length or 0 for length in shape[1:]])]

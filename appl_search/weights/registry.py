"""Every format of block weights by its name, and which of them a text is in.

The formats themselves stand above block weights, which are written and read with them: they are put here by
:mod:`appl_search.weights.formats`, and nothing here depends on what they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..loras.layout import LoraLayout

#: Objects of :class:`appl_search.weights.formats.base.Format`, in the order that menus show.
FORMATS: dict[str, Any] = {}


def find_format(name: str) -> Any:
    """The format of a name. Raises ValueError with all names for another one."""
    if name not in FORMATS:
        raise ValueError(f"{shortened(name)} is not a format of block weights. Expected one of {', '.join(FORMATS)}.")
    return FORMATS[name]


def read(text: str, layout: LoraLayout, format: str | None = None, letters: Mapping[str, float] | None = None) -> Any:
    """The BlockWeights that a text gives the LoRA of ``layout``, in a ``format`` or in the one that it is found to be in.

    Every format that the text may be in reads it, those with a mark first. Some of them cannot: then another one is
    meant. What this pack writes has zeros where the LoRA has nothing: of readings with different rates, one of a text
    as its format writes it wins over those that find other numbers there. Raises ValueError when none can read the text, and
    when readings with different rates are left.
    """
    if format is not None:
        return find_format(format).read(text, layout, **(letters or {}))
    matching = [candidate for candidate in FORMATS.values() if candidate.matches(text, layout)]
    candidates = [candidate for candidate in matching if candidate.has_mark] or matching
    if not candidates:
        raise ValueError(
            f"{title(layout)}: {shortened(text)} is in no format that this pack reads. Expected one of {', '.join(FORMATS)}."
        )
    readings, errors = {}, []
    for candidate in candidates:
        try:
            readings[candidate] = candidate.read(text, layout, **(letters or {}))
        except ValueError as error:
            errors.append(error)
    if not readings:
        raise errors[-1]
    if _differ(readings):
        unused = {one: one.unused(text, layout) for one in readings}
        written = {
            one: weights
            for one, weights in readings.items()
            if unused[one] and not any(unused[one]) and text.count(",") == one.write(weights).count(",")
        }
        if written and all(one in written or any(unused[one]) for one in readings):
            readings = written
    if _differ(readings):
        raise ValueError(_ambiguous(text, layout, readings))
    return next(iter(readings.values()))


def title(layout: LoraLayout) -> str:
    """How an error message about the rates of a LoRA begins."""
    return f"Block weights of {shortened(layout.name)}"


def shortened(text: str, most: int = 60) -> str:
    """A text as an error message quotes it: signs that cannot be printed take several places."""
    quoted = repr(text[: most + 1])
    return quoted if len(quoted) <= most + 2 else f"{quoted[:most]}…{quoted[0]}"


def _differ(readings: Mapping[Any, Any]) -> bool:
    return len({weights.values for weights in readings.values()}) > 1


def _ambiguous(text: str, layout: LoraLayout, readings: Mapping[Any, Any]) -> str:
    """Names the formats, and the first block that they give different rates."""
    names = " or ".join(repr(format.name) for format in readings)
    rates = [dict(weights.items()) for weights in readings.values()]
    block = next(block for block in rates[0] if len({one[block] for one in rates}) > 1)
    each = ", ".join(f"{one[block]:g} as {format.name!r}" for format, one in zip(readings, rates, strict=True))
    return (
        f"{title(layout)}: {shortened(text)} may be in the format {names}, and they give this LoRA different rates "
        f"({block}: {each}). Choose the format."
    )

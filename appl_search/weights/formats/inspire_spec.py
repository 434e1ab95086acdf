"""Inspire Pack's other notation: ``%default=1,base=0.5,in1-3=0.2,mid=0,out2=1``."""

from __future__ import annotations

import logging
import re

from ...loras.layout import LoraLayout
from .base import shortened, title
from .decimals import read_number
from .inspire_vector import LEAST, unet_groups

log = logging.getLogger("appl_search")

_DEFAULTS = re.compile(r"(default|base)=([0-9.]+)")
_BLOCKS = re.compile(r"(in|mid|out)(?:([0-9]+)(?:-([0-9]+))?)?=([0-9.]+)")
_MOST_WARNINGS, _MOST_DIGITS = 20, 6
_SECTIONS = {"in": "input_blocks", "mid": "middle_block", "out": "output_blocks"}


def spec_to_vector(spec: str, layout: LoraLayout) -> str:
    """The vector that Inspire makes of a spec for this LoRA, so that it is read with the same quirks.

    Blocks are counted from 1 among those the LoRA *has*. Inspire reads an item as far as it understands it:
    "in1=1e-1" as 1, "in1=-1" not at all; a warning is logged for each of these. Raises ValueError where Inspire
    would refuse the vector.
    """
    items = [item.strip() for item in spec.removeprefix("%").split(",") if item.strip()]
    _warn_of_misread(items, layout)
    chosen = {match[1]: match[2] for item in items if (match := _DEFAULTS.match(item))}
    default = chosen.get("default", "1.0")
    rates = {section: [default] * len(unet_groups(layout, group)) for section, group in _SECTIONS.items()}
    for item in items:
        if match := _BLOCKS.match(item):
            section, first, last, value = match.groups()
            start = _number(first or "1") - 1
            stop = len(rates[section]) if first is None else _number(last or first)
            for block in range(max(start, 0), min(stop, len(rates[section]))):
                rates[section][block] = str(read_number(value, f"{title(layout)}, {shortened(item)}"))
    vector = [chosen.get("base", default), *rates["in"], *rates["mid"], *rates["out"]]
    if len(vector) < LEAST:
        raise ValueError(
            f"{title(layout)}: Inspire refuses a % spec for it, because it makes {len(vector)} values of it and needs "
            f"at least {LEAST}. Write the vector instead."
        )
    return ",".join(vector)


def _warn_of_misread(items: list[str], layout: LoraLayout) -> None:
    """Logs what Inspire reads otherwise than it is written, the first items of many."""
    reads = ((item, _DEFAULTS.match(item) or _BLOCKS.match(item)) for item in items)
    misread = [(item, match and match[0]) for item, match in reads if match is None or match[0] != item]
    for item, read in misread[:_MOST_WARNINGS]:
        if read is None:
            log.warning("%s: Inspire ignores %s, and so do these rates", title(layout), shortened(item))
        else:
            log.warning("%s: Inspire reads %s as %s, and so do these rates", title(layout), shortened(item), shortened(read))
    if len(misread) > _MOST_WARNINGS:
        log.warning("%s: Inspire misreads %d more", title(layout), len(misread) - _MOST_WARNINGS)


def _number(digits: str) -> int:
    """A block's number. Python reads no number of thousands of digits, and no LoRA has that many blocks."""
    return int(digits[-_MOST_DIGITS:]) if not digits[:-_MOST_DIGITS].strip("0") else 10**_MOST_DIGITS

"""The one place where a rate becomes digits, and digits a rate."""

from __future__ import annotations

import math
import re

from ..registry import shortened

DEFAULT_DIGITS, MOST_DIGITS = 3, 8

_PLAIN = re.compile(r"-?\d+(\.\d+)?", re.ASCII)
_ANY = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)(e[+-]?\d+)?", re.ASCII | re.IGNORECASE)


def write_number(value: float, digits: int = DEFAULT_DIGITS, trim: bool = True) -> str:
    """A rate with so many decimals, never with an exponent and never "-0".

    It is off by no more than half a unit of the last decimal. ``trim`` takes off zeros at the end ("1", "0.5").
    Raises ValueError unless ``digits`` is a whole number from 1 to 8.
    """
    if not isinstance(digits, int) or not 1 <= digits <= MOST_DIGITS:
        raise ValueError(f"digits={digits!r}: expected a whole number of decimals from 1 to {MOST_DIGITS}.")
    text = f"{value:.{digits}f}"
    if float(text) == 0:
        text = text.removeprefix("-")
    return text.rstrip("0").rstrip(".") if trim else text


def read_number(text: str, what: str, plain: bool = False) -> float:
    """The number in ``text``; ``what`` opens the message of the ValueError that anything else raises.

    ``plain`` allows no other form than Inspire's: digits, or digits with a point between them ("-1", "0.25").
    """
    text = text.strip()
    if not (_PLAIN if plain else _ANY).fullmatch(text):
        raise ValueError(f"{what}: {shortened(text)} is not a number. Expected digits as in 1, 0.5 or -0.25.")
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{what}: {shortened(text)} is too large. Expected a rate, as in 1, 0.5 or -0.25.")
    return number

"""Which format a text is in."""

from __future__ import annotations

import re

_MARKERS = (
    (re.compile(r"\s*\{"), "json"),
    (re.compile(r"[^{]*Network \d+ weights:", re.DOTALL), "kohya"),
    (re.compile(r".*LBW=", re.DOTALL), "impact"),
    (re.compile(r".*lbw=", re.DOTALL), "a1111-tag"),
    (re.compile(r"\s*block,"), "csv"),
    (re.compile(r"\s*%"), "inspire"),
    (re.compile(r".*:", re.DOTALL), "inspire-preset"),
)
_COUNTS = {20: "plain", 26: "forge-neo"}
_INSPIRE_ONLY = re.compile(r"[AaBbRrUu]|\S+ .*", re.DOTALL)


def detect(text: str) -> str:
    """The name of the format. What has no mark of its own goes by its count: 20 values are ``plain`` even where this
    LoRA's vector for Inspire has 20 too, 26 are ``forge-neo``, any other count is ``inspire``, and so is a vector with
    a letter or a sub-vector.
    """
    for marker, format in _MARKERS:
        if marker.match(text):
            return format
    entries = [entry.strip() for entry in text.split(",")]
    if any(_INSPIRE_ONLY.fullmatch(entry) for entry in entries):
        return "inspire"
    return _COUNTS.get(len(entries), "inspire")

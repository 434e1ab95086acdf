"""The ``<lora:NAME:STRENGTH:lbw=...>`` tag of a prompt."""

from __future__ import annotations

import re

from ...loras.layout import LoraLayout
from .base import shortened, title

_TAG = re.compile(r"<lora:([^<>]*)>")
_ONE = re.compile(r"\s*1(\.0*)?\s*")


def write_tag(name: str, strengths: int, keyword: str, value: str) -> str:
    """A tag with so many strengths of 1, and ``keyword=value``."""
    return f"<lora:{':'.join([name, *['1'] * strengths, f'{keyword}={value}'])}>"


def read_tag(text: str, keyword: str, layout: LoraLayout) -> str:
    """The value of ``keyword`` in the only tag of ``text`` that has it (there may be other words and tags around it).

    Raises ValueError when there is none or several, and when the tag holds what would change the rates: a
    strength other than 1, or another keyword.
    """
    marker = f"{keyword}="
    tags = [tag.split(":") for tag in _TAG.findall(text) if f":{marker}" in tag]
    if len(tags) != 1:
        raise ValueError(
            f"{title(layout)}: expected one <lora:NAME:1:{marker}...> tag, got {len(tags)} in {shortened(text)}. "
            "Give the tag of this LoRA alone."
        )
    values = [field for field in tags[0][1:] if field.startswith(marker)]
    for field in tags[0][1:]:
        if field not in values and not _ONE.fullmatch(field):
            raise ValueError(
                f"{title(layout)}: {shortened(field)} in the tag changes the rates. Expected nothing but strengths of 1 and "
                f"{marker}: set it to 1 or take it out, or give the numbers alone."
            )
    return values[0].removeprefix(marker)


def name_warnings(name: str, forbidden: re.Pattern[str]) -> list[str]:
    """A warning if a tag cannot carry the LoRA's name."""
    found = "".join(dict.fromkeys(forbidden.findall(name)))
    if not found:
        return []
    return [f"The name {shortened(name)} has {shortened(found)}, which a <lora:...> tag cannot carry. Rename the file to use it."]

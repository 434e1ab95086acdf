"""Captions that differ from sample to sample, by the rules of kohya's trainers (sd-scripts, BaseDataset.process_caption)."""

from __future__ import annotations

import random
import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Wording:
    """What is done to every caption, in this order.

    ``prefix``, ``suffix``: put before and after it, with a space. ``dropout``: chance of an empty caption.
    ``wildcards``: one of several lines is drawn, and one of the words in {a|b}; {{ and }} are plain braces. Without
    it only the first line counts, or ``all_lines`` with a space between them. ``shuffle``: the tags (parts between
    ``separator``) in random order; ``tag_dropout``: chance of each of them to be left out. ``keep_tokens`` tags at the
    start take no part in either; where the caption has ``keep_separator`` the part before it and the part after a second
    one do not, instead. ``secondary_separator``: becomes ``separator`` at the end, for tags that stay together.
    """

    prefix: str = ""
    suffix: str = ""
    dropout: float = 0.0
    wildcards: bool = False
    all_lines: bool = False
    shuffle: bool = False
    tag_dropout: float = 0.0
    separator: str = ","
    keep_tokens: int = 0
    keep_separator: str = ""
    secondary_separator: str = ""

    @property
    def varies(self) -> bool:
        """Whether it can make different captions of one."""
        return bool(self.dropout or self.wildcards or self.shuffle or self.tag_dropout)

    def word(self, caption: str, draws: random.Random) -> str:
        """The caption of one sample. ``draws`` are used as the trainers use theirs: the same seed gives the same caption."""
        caption = f"{self.prefix} {caption}" if self.prefix else caption
        caption = f"{caption} {self.suffix}" if self.suffix else caption
        if self.dropout > 0 and draws.random() < self.dropout:
            return ""
        lines = caption.split("\n")
        if self.wildcards:
            caption = _without_wildcards(draws.choice(lines) if len(lines) > 1 else caption, draws)
        else:
            caption = " ".join(line.strip() for line in lines if line.strip()) if self.all_lines else lines[0]
        if self.shuffle or self.tag_dropout > 0:
            caption = ", ".join(self._tags(caption, draws))
        return caption.replace(self.secondary_separator, self.separator) if self.secondary_separator else caption

    def _tags(self, caption: str, draws: random.Random) -> list[str]:
        before, after = [], []
        if self.keep_separator and self.keep_separator in caption:
            kept, free, *last = caption.split(self.keep_separator, 2)
            before, tags = self._split(kept), self._split(free)
            after = self._split(last[0]) if last else []
        else:
            tags = [tag.strip() for tag in caption.strip().split(self.separator)]
            before, tags = tags[: self.keep_tokens], tags[self.keep_tokens :]
        if self.shuffle:
            draws.shuffle(tags)
        if self.tag_dropout > 0:
            tags = [tag for tag in tags if draws.random() >= self.tag_dropout]
        return before + tags + after

    def _split(self, part: str) -> list[str]:
        return [tag.strip() for tag in part.split(self.separator) if tag.strip()]


def _without_wildcards(caption: str, draws: random.Random) -> str:
    """One of the words of each {a|b}; doubled braces are plain ones."""
    opened, closed = "\ue000", "\ue001"  # for private use: in no caption that a tokenizer knows
    caption = caption.replace("{{", opened).replace("}}", closed)
    caption = re.sub(r"\{([^}]+)\}", lambda found: draws.choice(found[1].split("|")), caption)
    return caption.replace(opened, "{").replace(closed, "}")

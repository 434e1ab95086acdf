"""Captions of a given length in tokens, read as kohya's trainers read them (sd-scripts, max_token_length)."""

from __future__ import annotations

import torch
from torch import Tensor

#: Tokens of a section that are a caption's own; a token before and one after them are not.
SECTION = 75


def cut(clip, tokens: dict, limit: int) -> dict:
    """The first ``limit`` tokens of a caption in limit / 75 sections, whatever words begin and end where.

    ComfyUI's own sections end with whole words, and there are as many as the caption needs. ``tokens``: as
    ``clip.tokenize`` gives them.
    """
    return {name: _cut(getattr(clip.tokenizer, f"clip_{name}"), sections, limit) for name, sections in tokens.items()}


def _cut(tokenizer, sections: list[list[tuple]], limit: int) -> list[list[tuple]]:
    end, padding = (tokenizer.end_token, 1.0), (tokenizer.pad_token, 1.0)
    own = [token for section in sections for token in _before_the_end(section[1:], tokenizer.end_token)][:limit]
    parts = [own[start : start + SECTION] for start in range(0, limit, SECTION)]
    return [[sections[0][0], *part, end, *[padding] * (SECTION - len(part))] for part in parts]


def _before_the_end(section: list[tuple], end_token: int) -> list[tuple]:
    ends = (place for place, token in enumerate(section) if not isinstance(token[0], Tensor) and token[0] == end_token)
    return section[: next(ends, len(section))]


def joined(context: Tensor) -> Tensor:
    """Context [1, n * 77, c] of n sections as one of 75 n + 2: the first token, each section's own ones, the last token."""
    sections = context.view(-1, SECTION + 2, context.shape[-1])
    own = sections[:, 1:-1].reshape(1, -1, context.shape[-1])
    return torch.cat([sections[:1, :1], own, sections[-1:, -1:]], dim=1)

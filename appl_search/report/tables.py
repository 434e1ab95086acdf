"""Block weights as lines of text."""

from __future__ import annotations

from collections.abc import Iterable

from ..weights.block_weights import BlockWeights


def table(weights: BlockWeights) -> Iterable[str]:
    """One line per block: its name, its rate and standard error; "-" for blocks that the LoRA does not have."""
    for block, value, error, there in zip(weights.blocks, weights.values, weights.stderr, weights.present):
        rate = f"{value:7.3f}" if there else "      -"
        yield f"  {block:6}{rate}" + (f"  +- {error:.3f}" if error == error else "")

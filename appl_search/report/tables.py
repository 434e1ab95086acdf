"""Block weights as lines of text."""

from __future__ import annotations

from collections.abc import Iterable

from ..architectures.blocks import BLOCK_NAMES, NUM_BLOCKS
from ..weights.block_weights import BlockWeights


def table(weights: BlockWeights) -> Iterable[str]:
    """One line per block: its name, its rate and standard error; "-" for blocks that the LoRA does not have."""
    for block in range(NUM_BLOCKS):
        rate = f"{weights.values[block]:7.3f}" if weights.present[block] else "      -"
        error = weights.stderr[block]
        yield f"  {BLOCK_NAMES[block]:6}{rate}" + (f"  +- {error:.3f}" if error == error else "")

"""Block weights as lines of text."""

from __future__ import annotations

from collections.abc import Iterable

from ..loras.rules import BlockRules
from ..weights.block_weights import BlockWeights


def table(weights: BlockWeights, rules: BlockRules | None = None) -> Iterable[str]:
    """One line per block: its name, its rate and standard error; "-" for blocks that the LoRA does not have.

    ``rules``: those that a search had, to say what was fixed or tied.
    """
    for block, (name, value, error, there) in enumerate(zip(weights.blocks, weights.values, weights.stderr, weights.present)):
        rate = f"{value:7.3f}" if there else "      -"
        note = rules.note(block) if there and rules is not None else ""
        yield f"  {name:6}{rate}" + (f"  +- {error:.3f}" if error == error else "") + (f"  {note}" if note else "")

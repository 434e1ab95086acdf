"""Block weights as lines of text."""

from __future__ import annotations

from collections.abc import Iterable

from ..comparing.comparison import Comparison
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


def comparison_table(comparison: Comparison) -> Iterable[str]:
    """One line per candidate: its name, its loss, and by how much that is above the first one's, with the 95% interval."""
    widest = max(len(candidate.name) for candidate in comparison.candidates)
    for number, candidate in enumerate(comparison.candidates):
        loss, above, error = (float(of[number]) for of in (comparison.losses, comparison.difference[:, 0], comparison.error[:, 0]))
        yield f"  {candidate.name:{widest}}  {loss:.5f}" + (f"  {above:+.5f} +- {error:.5f}" if number else "")

"""Block weights in words and as tables, for people."""

from __future__ import annotations

import math

from ...appl_search import BlockWeights, SearchResult
from ...appl_search.loras.rules import BlockRules


def summary(result: SearchResult) -> str:
    """How a search went, and the rates of each of its LoRAs."""
    settings = result.settings
    steps = len(result.history.loss)
    head = f"{settings.method}: {result.samples} samples in {steps} steps and {result.seconds:.0f} s, penalty {settings.penalty:g}, seed {settings.seed}"
    verdict = [result.verdict.text] if result.verdict is not None else []
    findings = ["\n".join(finding.text for finding in result.findings)] if result.findings else []
    return "\n\n".join([head, *verdict, *findings, *map(_paragraph, result.block_weights, result.rules), *result.notes])


def table(weights: BlockWeights) -> list[list]:
    """[block, rate, standard error or None] of each block that the LoRA has, ready for JSON."""
    return [
        [block, rate, None if math.isnan(error) else error]
        for block, rate, error, there in zip(weights.blocks, weights.values, weights.stderr, weights.present)
        if there
    ]


def _paragraph(weights: BlockWeights, rules: BlockRules) -> str:
    notes = dict(zip(weights.blocks, map(rules.note, range(len(weights.blocks)))))
    return "\n".join([weights.name, *(_line(*row, notes[row[0]]) for row in table(weights))])


def _line(block: str, rate: float, error: float | None, note: str) -> str:
    return f"{block:<5} {rate:7.3f}" + ("" if error is None else f" ± {error:.3f}") + (f" ({note})" if note else "")

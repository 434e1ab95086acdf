"""The ways to have a LoRA that are compared: with all its blocks, without it, with one block off, with one alone."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from ..architectures import Architecture
from ..weights.block_weights import BlockWeights

ALL, NONE, OFF, ALONE = "all blocks", "no LoRA", "off", "alone"
EACH_OFF, EACH_ALONE, BOTH = "each block off", "each block alone", "both"
MODES = (EACH_OFF, EACH_ALONE, BOTH)


@dataclass(frozen=True)
class Variant:
    """``kind``: ALL, NONE, or OFF or ALONE of a ``block`` by its index."""

    kind: str
    block: int | None = None

    def label(self, architecture: Architecture) -> str:
        """What it is, for people: "IN07 off"."""
        return self.kind if self.block is None else f"{architecture.blocks[self.block]} {self.kind}"

    def of(self, weights: BlockWeights) -> BlockWeights:
        """The block weights of this variant."""
        return BlockWeights(weights.layout, tuple(rate if self._has(block) else 0.0 for block, rate in enumerate(weights.values)))

    def _has(self, block: int) -> bool:
        return {ALL: True, NONE: False, OFF: block != self.block, ALONE: block == self.block}[self.kind]


def variants(mode: str, blocks: Iterable[int]) -> list[Variant]:
    """The variants of one of MODES, by block; the first two are always ALL and NONE."""
    kinds = [kind for kind, other in ((OFF, EACH_ALONE), (ALONE, EACH_OFF)) if mode != other]
    blocks = sorted(set(blocks))
    return [Variant(ALL), Variant(NONE), *(Variant(kind, block) for kind in kinds for block in blocks)]


def acting(weights: BlockWeights, patched: Collection[int]) -> list[int]:
    """The blocks that do anything: those ``patched`` that have a rate."""
    return [block for block, rate in enumerate(weights.values) if rate and block in patched]

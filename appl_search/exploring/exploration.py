"""What an exploration found: pictures, how they differ, and that in words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from torch import Tensor

from ..weights.block_weights import BlockWeights
from .differences import Difference, difference, difference_map
from .variants import ALL, ALONE, NONE, OFF, Variant

#: What a picture is compared with: ALL where a block is off, NONE where it is alone; or always one of these two.
WHAT_FITS = "what fits"
COMPARED_WITH = (WHAT_FITS, ALL, NONE)


@dataclass(frozen=True)
class Shown:
    """One picture: ``label`` says what it is, ``pixels`` are uint8 [h, w, 3]."""

    variant: Variant
    label: str
    pixels: Tensor


@dataclass(frozen=True)
class Effect:
    """How a picture differs from the one with all blocks and from the one without the LoRA."""

    shown: Shown
    from_all: Difference
    from_none: Difference


@dataclass(frozen=True, eq=False)
class Exploration:
    """``pictures``: with all blocks, without the LoRA, then block by block. ``compared_with``: one of COMPARED_WITH.

    ``weights``: what blocks were switched off from; blocks that do nothing here have the rate 0. ``prompt``: empty where
    CONDITIONING was given. ``settings``: of the sampler. ``sampled``, ``found``: how many different pictures were made, and found on disk.
    """

    name: str
    weights: BlockWeights
    pictures: tuple[Shown, ...]
    compared_with: str
    prompt: str
    settings: Mapping[str, object]
    sampled: int
    found: int
    notes: tuple[str, ...] = ()

    @cached_property
    def effects(self) -> tuple[Effect, ...]:
        """Of each picture, in their order."""
        with_all, without = (shown.pixels for shown in self.pictures[:2])
        return tuple(Effect(shown, difference(shown.pixels, with_all), difference(shown.pixels, without)) for shown in self.pictures)

    def reference(self, variant: Variant) -> str:
        """What the picture of a variant is compared with: ALL or NONE."""
        if self.compared_with == WHAT_FITS:
            return NONE if variant.kind == ALONE else ALL
        return self.compared_with

    def counted(self, effect: Effect) -> Difference:
        """The difference from the picture that it is compared with."""
        return effect.from_all if self.reference(effect.shown.variant) == ALL else effect.from_none

    def by_effect(self, kind: str) -> list[Effect]:
        """Those of a kind, OFF or ALONE, the largest difference in pixels first."""
        return sorted(self.of_kind(kind), key=lambda effect: -self.counted(effect).pixels)

    def of_kind(self, kind: str) -> list[Effect]:
        """Those of a kind, OFF or ALONE, in the order of blocks."""
        return [effect for effect in self.effects if effect.shown.variant.kind == kind]

    @property
    def kinds(self) -> list[str]:
        """Which of OFF and ALONE there are."""
        return [kind for kind in (OFF, ALONE) if self.of_kind(kind)]

    @cached_property
    def maps(self) -> tuple[Tensor, ...]:
        """Where each picture differs from the one that it is compared with, uint8 [h, w, 3]."""
        references = {shown.label: shown.pixels for shown in self.pictures[:2]}
        return tuple(difference_map(shown.pixels, references[self.reference(shown.variant)]) for shown in self.pictures)

"""Which of the LoRAs' rates are searched, and the penalty on their total."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ..loras.layout import LoraLayout
from ..loras.rules import BlockRules
from ..loras.source import LoraSource
from ..settings import SearchSettings


def spread(parameters: Tensor, parameter_of: Tensor, otherwise: Tensor) -> Tensor:
    """[p] -> [LoRAs, blocks]: each rate its parameter, or ``otherwise`` [LoRAs, blocks] where ``parameter_of`` is -1."""
    return torch.where(parameter_of >= 0, parameters.double()[parameter_of.clamp(min=0)], otherwise)


class Rates:
    """The map between the search's parameters [p] and all rates [LoRAs, blocks].

    Blocks that a LoRA has no keys for are 0 and no parameters; fixed ones keep their value; tied
    ones share a parameter. ``counts`` [p]: how many rates each parameter stands for. ``searched``: which of the rates,
    counted LoRA * blocks + block, are parameters. ``layouts``: all of one architecture. ``rules``: of each LoRA. Raises ValueError when nothing is
    left to search or a start lies outside the bounds.
    """

    def __init__(self, sources: Sequence[LoraSource], layouts: Sequence[LoraLayout], settings: SearchSettings):
        self.layouts = tuple(layouts)
        self.architecture = layouts[0].architecture
        self.rules = tuple(BlockRules.of(source, self.architecture) for source in sources)
        blocks = self.architecture.blocks
        self.constant = torch.zeros(len(sources), len(blocks), dtype=torch.float64)
        self.parameter_of = torch.full((len(sources), len(blocks)), -1)
        starts: list[float] = []
        for number, (source, layout) in enumerate(zip(sources, layouts)):
            for tied in self.architecture.ties(source.tie):
                free = []
                for block in tied:
                    name = blocks[block]
                    if not layout.present[block]:
                        continue
                    if name in source.fixed:
                        self.constant[number, block] = source.fixed[name]
                    else:
                        free.append((block, source.start.get(name, settings.init)))
                if free:
                    self.parameter_of[number, [block for block, _ in free]] = len(starts)
                    starts.append(sum(start for _, start in free) / len(free))
        if not starts:
            raise ValueError("There is no rate to search: every block is fixed or has no keys in its LoRA.")
        self.searched = torch.nonzero(self.parameter_of.flatten() >= 0).flatten()
        self.penalized = torch.tensor([layout.present for layout in layouts])
        self.counts = torch.bincount(self.parameter_of.flatten()[self.searched], minlength=len(starts)).double()
        self.start = torch.tensor(starts, dtype=torch.float64)
        self.lower = float("-inf") if settings.minimum is None else settings.minimum
        self.upper = float("inf") if settings.maximum is None else settings.maximum
        if not ((self.start >= self.lower) & (self.start <= self.upper)).all():
            raise ValueError(
                f"The search starts at {', '.join(f'{start:g}' for start in sorted(set(starts)))}, expected rates within the "
                f"bounds {self.lower} .. {self.upper}. Change init (of the settings or of the LoRA), or the bounds."
            )

    def __len__(self) -> int:
        return len(self.start)

    def all_rates(self, parameters: Tensor) -> Tensor:
        """[p] -> [LoRAs, blocks] in fp64."""
        return spread(parameters, self.parameter_of, self.constant)

    def of_parameters(self, per_rate: Tensor) -> Tensor:
        """Gradients [b, LoRAs * blocks] by rate -> [b, p] by parameter (tied rates add up)."""
        out = per_rate.new_zeros(per_rate.shape[0], len(self))
        return out.index_add_(1, self.parameter_of.flatten()[self.searched], per_rate[:, self.searched])

    def penalty(self, rates: Tensor, negative_penalty: float) -> float:
        """sum |rate| + negative_penalty * sum over negative ones of |rate|, over all blocks there are."""
        there = rates[self.penalized]
        return float(there.abs().sum() + negative_penalty * there.clamp(max=0).abs().sum())

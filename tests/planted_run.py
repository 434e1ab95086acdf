"""Whole searches in a world whose best rates are known: everything of :class:`Run` but the network.

The prediction of a sample is J w: linear in the rates, with J and the rest of the error drawn anew for each sample, and
the rest far larger than what rates can change, as it is with a diffusion model. Every picture wants rates of its own, around those
that all of its kind want in the mean.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace

import torch
from torch import Tensor

from appl_search import SearchResult, SearchSettings, TrainingSet
from appl_search.architectures import SDXL
from appl_search.gradients.batch import Gradients
from appl_search.gradients.draws import Draw
from appl_search.gradients.rates import Rates
from appl_search.loras.layout import LoraLayout
from appl_search.loras.source import LoraSource
from appl_search.searching.run import Run
from appl_search.searching.team import Solo


class PlantedEvaluator:
    """As much of Evaluator as a run asks for. ``best`` [LoRAs, blocks]: what pictures of the kind want in the mean.

    ``unlike``: standard deviation of what each picture wants from that. ``strength``: how much a rate changes the prediction.
    ``outputs``: numbers in a prediction. ``wanted`` [LoRAs * blocks]: what these pictures want in the mean.
    """

    timesteps, prediction, notes = 1000, "eps", ()

    def __init__(self, best: Tensor, pictures: int, settings: SearchSettings, seed: int, unlike: float = 0.1, strength: float = 0.1, outputs: int = 64):
        loras, blocks = best.shape
        names = [f"lora_{number}" for number in range(loras)]
        groups = {group: 1 for group in (_group_of(block) for block in range(blocks))}
        layouts = [LoraLayout(name, name, groups) for name in names]
        self.rates = Rates([LoraSource(f"{name}.safetensors") for name in names], layouts, settings)
        self.shapes = [torch.Size([1, 1, outputs])] * pictures  # of a sample's noise: an error for each output
        self.examples = _Pictures(pictures)
        generator = torch.Generator().manual_seed(seed)
        self._common = strength * torch.randn(outputs, best.numel(), generator=generator, dtype=torch.float64)
        spread = unlike * torch.randn(pictures, best.numel(), generator=generator, dtype=torch.float64)
        self._wanted = best.flatten() + spread
        self.wanted = self._wanted.mean(0)
        self._strength = strength

    def losses(self, draw: Draw, rates: Tensor) -> Tensor:
        return torch.stack([self._residual(draw, row, rates)[1].square().mean() for row in range(len(draw))])

    def gradients(self, draw: Draw, rates: Tensor, probes: int) -> Gradients:
        losses, gradients, directions = [], [], []
        for row in range(len(draw)):
            jacobian, residual = self._residual(draw, row, rates)
            losses.append(residual.square().mean())
            gradients.append(2 * jacobian.T @ residual / len(residual))
            if row < probes:
                directions.append(jacobian.T @ draw.probes[row].flatten().double() / len(residual) ** 0.5)
        empty = torch.empty(0, rates.numel(), dtype=torch.float64)
        of_parameters = self.rates.of_parameters
        return Gradients(
            torch.stack(losses), of_parameters(torch.stack(gradients)), of_parameters(torch.stack(directions) if directions else empty)
        )

    def rise(self, rates: Tensor, best: Tensor) -> float:
        """By how much the loss at ``rates`` [LoRAs, blocks] is above that at ``best``, in the mean over all pictures of the kind."""
        off = (rates.double() - best).flatten()
        return float((self._common @ off).square().mean() + self._strength**2 * off.square().sum())

    def _residual(self, draw: Draw, row: int, rates: Tensor) -> tuple[Tensor, Tensor]:
        own = torch.randn(self._common.shape, generator=draw.generators[row], dtype=torch.float64)
        jacobian = self._common + self._strength * own
        error = draw.noise[row].flatten().double()
        return jacobian, jacobian @ (rates.flatten().double() - self._wanted[int(draw.indices[row])]) + error


class _Pictures(Sequence):
    def __init__(self, count: int):
        self.items = tuple(range(count))

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int):
        return SimpleNamespace(name=f"picture {index}")

    def read_ahead(self, samples: Sequence[tuple[int, int]]) -> None:
        """There is nothing to read."""


def searched(evaluator: PlantedEvaluator, settings: SearchSettings) -> SearchResult:
    """What a whole search in this world ends with."""
    count = len(evaluator.examples)
    conditioning = [[torch.zeros(1, 1, 4), {"pooled_output": torch.zeros(1, 4)}]]
    images = TrainingSet.from_latents({"samples": torch.zeros(count, 4, 8, 8)}, conditioning)
    task = SimpleNamespace(settings=settings, images=images, draws=None, previews=())
    run = Run(task, evaluator, Solo(), lambda preview: None)
    for _ in run:
        pass
    return run.finish()


def _group_of(block: int) -> str:
    """A group of keys that is of the block: the text encoders' for the first."""
    for group, section in SDXL.section_of.items():
        if block in section.blocks:
            return f"{group}.{block - section.first}"
    return "text_encoders"

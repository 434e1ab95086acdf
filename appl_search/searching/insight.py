"""Which block does what: by the search's own models of the loss, or by losses with one block changed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..comparing.ablation import ALL, PICTURES, TARGETS, THIRD_NAMES, TIMESTEPS, Ablation, Group
from ..comparing.comparison import half_width
from ..comparing.likeness import Likeness
from ..comparing.units import Unit, units_of
from ..gradients.draws import Draw, Draws
from ..gradients.rates import Rates
from .candidates import Losses, Part, losses_of
from .groups import third_of
from .methods.loss_model import LossModel, together

#: Fewer samples than these say nothing of a group.
FEWEST_SAMPLES = 4


def known(thirds: Sequence[LossModel | None]) -> list[tuple[str, LossModel]]:
    """The thirds of which something is known, by their names."""
    return [(name, model) for name, model in zip(THIRD_NAMES, thirds) if model is not None]


def ablation_by_models(rates: Rates, thirds: Sequence[LossModel | None], found: Tensor, samples: int, pictures: int) -> Ablation | None:
    """By the models of each third of the timesteps, and by all of them, at what was found [p]; None where there are none.

    The intervals say what other draws of the same pictures would change, by the noise of the gradient and of the curvature
    that the models are made of; not how far the loss is from a parabola.
    """
    if not (named := known(thirds)):
        return None
    units, models = units_of(rates.parameter_of), [model for _, model in named]
    total = sum(model.weight for model in models)
    groups = [Group(name, TIMESTEPS, model.weight / total) for name, model in named]
    ends = [found.clone() for _ in range(len(units) * len(TARGETS) + len(rates.layouts))]
    for number, end in enumerate(ends[: len(units) * len(TARGETS)]):
        end[number // len(TARGETS)] = TARGETS[number % len(TARGETS)]
    for lora, end in enumerate(ends[len(units) * len(TARGETS) :]):
        end[[number for number, unit in enumerate(units) if unit.lora == lora]] = 0.0
    shares = torch.tensor([group.share for group in groups], dtype=torch.float64)
    losses = torch.tensor([model.predicted_loss(found) for model in models], dtype=torch.float64)
    rises = torch.tensor([[model.rise(found, end) for model in models] for end in ends], dtype=torch.float64)
    rise, below, above = rises[..., 0], rises[..., 0] - rises[..., 1], rises[..., 2] - rises[..., 0]
    # The thirds have samples of their own: the distances of their sum to its ends add up by their squares (Zou and Donner, 2008).
    whole, down, up = rise @ shares, below.square() @ shares.square(), above.square() @ shares.square()
    rise, below, above = (torch.cat([first[:, None], rest], 1) for first, rest in ((whole, rise), (down.sqrt(), below), (up.sqrt(), above)))
    return _ablation(
        units, (Group(ALL, ALL, 1.0), *groups), torch.cat([(losses @ shares)[None], losses]), rise, rise - below, rise + above,
        is_measured=False, samples=samples, pictures=pictures,
    )  # fmt: skip


def likeness_by_models(rates: Rates, thirds: Sequence[LossModel | None], found: Tensor) -> Likeness | None:
    """By the curvature over all timesteps, at what was found [p]; None where nothing is known of it."""
    if not (named := known(thirds)):
        return None
    cosine, error = together([model for _, model in named]).likeness()
    sign = torch.where(found < 0, -1.0, 1.0).double()
    return Likeness(units_of(rates.parameter_of), cosine * sign[:, None] * sign, error)


@dataclass(frozen=True)
class Measuring:
    """Losses with one unit changed. ``pictures``: which item each example is of. ``groups``: of pictures, names and items."""

    rates: Rates
    draws: Draws
    losses: Losses
    pictures: Sequence[int]
    groups: Sequence[tuple[str, Sequence[int]]]

    def ablation(self, found: Tensor) -> tuple[Ablation | None, list[str]]:
        """At what was found [LoRAs, blocks], by common draws; and notes. None where nothing can be said.

        Groups with too few samples for an interval are left out.
        """
        units = units_of(self.rates.parameter_of)
        ends = [self._with(found, unit.lora, list(unit.blocks), target) for unit in units for target in TARGETS]
        ends += [self._with(found, lora, slice(None), 0.0) for lora in range(len(found))]
        losses, apart, items, levels = self._measure(found, ends)
        if not apart.isfinite().all():
            return None, ["The model overflows with a block switched off or fully on, so what the blocks do was not measured."]
        kept, rises, errors = [], [], []
        for group, among in self._grouped(items, levels):
            error = half_width(apart[:, among], items[among])
            if int(among.sum()) >= FEWEST_SAMPLES and error.isfinite().all():
                kept.append((group, losses[among].mean()))
                rises.append(apart[:, among].mean(1))
                errors.append(error)
        if not kept or kept[0][0].kind != ALL:
            return None, [f"ablation is {len(items)}, which is too few samples for {len(items.unique())} images: what the blocks do was not measured."]
        return _ablation(
            units, [group for group, _ in kept], torch.stack([loss for _, loss in kept]), *_around(torch.stack(rises, 1), torch.stack(errors, 1)),
            is_measured=True, samples=len(items), pictures=len(items.unique()),
        ), []  # fmt: skip

    def _measure(self, found: Tensor, ends: Sequence[Tensor]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Losses at what was found [samples], how much those at the ends are above [ends, samples], items and levels [samples]."""
        changed = [number for number, end in enumerate(ends) if not torch.equal(end, found)]
        part = Part(frozenset(range(len(self.pictures))), [found, *(ends[number] for number in changed)])
        levels: list[Tensor] = []

        def seen() -> Iterator[Draw]:
            for draw in self.draws:
                levels.append(draw.levels)
                yield draw

        losses, examples = losses_of([part], seen(), self.losses)
        apart = torch.zeros(len(ends), losses.shape[1], dtype=torch.float64)
        apart[changed] = losses[1:] - losses[0]
        return losses[0], apart, torch.tensor(self.pictures)[examples], torch.cat(levels)

    def _grouped(self, items: Tensor, levels: Tensor) -> Iterator[tuple[Group, Tensor]]:
        """All samples, those of each third of the timesteps, and those of each group of pictures: which they are [samples]."""
        thirds = third_of(levels)
        named = [(ALL, ALL, torch.ones_like(items, dtype=torch.bool))]
        named += [(name, TIMESTEPS, thirds == number) for number, name in enumerate(THIRD_NAMES)]
        named += [(name, PICTURES, torch.isin(items, torch.tensor(positions))) for name, positions in self.groups]
        return ((Group(name, kind, float(among.double().mean())), among) for name, kind, among in named if among.any())

    def _with(self, found: Tensor, lora: int, blocks: list[int] | slice, rate: float) -> Tensor:
        """What was found with another rate in those of a LoRA's blocks that are searched."""
        changed = found.clone()
        is_searched = self.rates.parameter_of[lora, blocks] >= 0
        changed[lora, blocks] = found[lora, blocks].masked_fill(is_searched, rate)
        return changed


def _around(rise: Tensor, error: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    return rise, rise - error, rise + error


def _ablation(
    units: Sequence[Unit], groups: Sequence[Group], losses: Tensor, rise: Tensor, low: Tensor, high: Tensor, *, is_measured: bool, samples: int, pictures: int
) -> Ablation:  # fmt: skip
    """``rise``, ``low``, ``high`` [ends, groups]: each target of each unit, and then each LoRA as a whole."""
    by_unit = len(units) * len(TARGETS)
    of_units = [of[:by_unit].unflatten(0, (len(units), len(TARGETS))) for of in (rise, low, high)]
    return Ablation(
        units=tuple(units),
        groups=tuple(groups),
        losses=losses,
        **dict(zip(("rise", "low", "high"), of_units)),
        **dict(zip(("whole", "whole_low", "whole_high"), (of[by_unit:] for of in (rise, low, high)))),
        is_measured=is_measured,
        samples=samples,
        pictures=pictures,
    )

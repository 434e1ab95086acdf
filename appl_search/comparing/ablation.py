"""How much the loss rises when a block of a LoRA is switched off or fully on, over all samples and over groups of them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..weights.fields import Fields, wrong
from .units import Unit, units_from_fields, units_to_list

#: What a block's rate is set to.
TARGETS = (0.0, 1.0)
OFF, ON = range(len(TARGETS))
#: What the samples of a group have in common.
ALL, TIMESTEPS, PICTURES = KINDS = ("all", "timesteps", "pictures")
#: Thirds of the timesteps from the least noisy one on: a picture's making from its end to its beginning.
THIRD_NAMES = ("details", "form", "composition")
_OF_UNITS, _OF_LORAS = ("rise", "low", "high"), ("whole", "whole_low", "whole_high")


@dataclass(frozen=True)
class Group:
    """Samples that are looked at by themselves. ``share``: which part of all samples they are."""

    name: str
    kind: str
    share: float


@dataclass(frozen=True)
class Ablation:
    """One quantity with one sign: by how much the loss is above that at what was found, with one unit changed.

    ``rise``, ``low``, ``high`` [units, 2 targets, groups]: that, and the ends of its 95% interval. ``whole``, ``whole_low``, ``whole_high``
    [LoRAs, groups]: with all of a LoRA's units at 0. ``losses`` [groups]: at what was found. The first group is of all samples.
    ``is_measured``: by losses at changed rates; else the search's own model says it. ``samples``, ``pictures``: how many it is made of.
    """

    units: tuple[Unit, ...]
    groups: tuple[Group, ...]
    losses: Tensor
    rise: Tensor
    low: Tensor
    high: Tensor
    whole: Tensor
    whole_low: Tensor
    whole_high: Tensor
    is_measured: bool
    samples: int
    pictures: int

    @property
    def relative(self) -> Tensor:
        """``rise`` as a part of the loss of its group."""
        return self.rise / self.losses

    @property
    def is_sure(self) -> Tensor:
        """Of which rises it is sure whether they are above 0 or below [units, 2 targets, groups]."""
        return (self.low > 0) | (self.high < 0)

    @property
    def share(self) -> Tensor:
        """Which part of what its LoRA brings is lost without each unit [units]; NaN where that is not known to be anything.

        Shares need not add up to 1: blocks that do the same stand in for each other.
        """
        of = [unit.lora for unit in self.units]
        whole = self.whole[of, 0]
        return (self.rise[:, OFF, 0] / whole).where(self.whole_low[of, 0] > 0, torch.full_like(whole, torch.nan))

    def of_kind(self, kind: str) -> list[int]:
        """Which of the groups are of this kind."""
        return [number for number, group in enumerate(self.groups) if group.kind == kind]

    def to_dict(self) -> dict:
        return {
            "units": units_to_list(self.units),
            "groups": [{"name": group.name, "kind": group.kind, "share": group.share} for group in self.groups],
            **{name: getattr(self, name).tolist() for name in ("losses", *_OF_UNITS, *_OF_LORAS)},
            "is_measured": self.is_measured,
            "samples": self.samples,
            "pictures": self.pictures,
        }

    @classmethod
    def from_fields(cls, fields: Fields, shape: tuple[int, int]) -> Ablation:
        """The inverse of :meth:`to_dict`, for a search of ``shape`` LoRAs, blocks. ValueError names the field that is wrong."""
        units = units_from_fields(fields, "units", shape)
        groups = tuple(map(_group, fields.objects("groups")))
        if not isinstance(is_measured := fields.any("is_measured"), bool):
            raise wrong(fields.place("is_measured"), is_measured, "true or false")
        of_units, of_loras = [len(units), len(TARGETS), len(groups)], [shape[0], len(groups)]
        return cls(
            units=units,
            groups=groups,
            losses=fields.tensor("losses", [len(groups)]),
            **{name: fields.tensor(name, of_units) for name in _OF_UNITS},
            **{name: fields.tensor(name, of_loras) for name in _OF_LORAS},
            is_measured=is_measured,
            samples=fields.whole("samples", 1, 2**63),
            pictures=fields.whole("pictures", 1, 2**63),
        )


def _group(fields: Fields) -> Group:
    if (kind := fields.text("kind", 40)) not in KINDS:
        raise wrong(fields.place("kind"), kind, f"one of {', '.join(KINDS)}")
    return Group(fields.text("name"), kind, fields.number("share", 0))

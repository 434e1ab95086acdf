"""Which blocks do the same to what the model predicts, and which fight: within a LoRA and between LoRAs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from torch import Tensor

from ..weights.fields import Fields
from .units import Unit, units_from_fields, units_to_list


@dataclass(frozen=True)
class Likeness:
    """The cosine between what two units at their rates change of the prediction: h_ij / sqrt(h_ii h_jj) of the loss's curvature.

    1: they change it alike, and at twice the strength of one the other is not needed; 0: they have nothing to do with each
    other; -1: each undoes what the other does. Where one of the rates is negative, so is what it does. ``cosine``, ``error`` [units,
    units]: that, and half the width of its 95% interval.
    """

    units: tuple[Unit, ...]
    cosine: Tensor
    error: Tensor

    def pairs(self) -> Iterator[tuple[int, int, float, float]]:
        """(one unit, the other, cosine, error), the most alike or contrary first."""
        count = len(self.units)
        pairs = [(i, j) for i in range(count) for j in range(i + 1, count)]
        found = ((i, j, float(self.cosine[i, j]), float(self.error[i, j])) for i, j in pairs)
        return iter(sorted(found, key=lambda pair: -abs(pair[2])))

    def to_dict(self) -> dict:
        return {"units": units_to_list(self.units), "cosine": self.cosine.tolist(), "error": self.error.tolist()}

    @classmethod
    def from_fields(cls, fields: Fields, shape: tuple[int, int]) -> Likeness:
        """The inverse of :meth:`to_dict`, for a search of ``shape`` LoRAs, blocks. ValueError names the field that is wrong."""
        units = units_from_fields(fields, "units", shape)
        square = [len(units), len(units)]
        return cls(units, fields.tensor("cosine", square), fields.tensor("error", square))

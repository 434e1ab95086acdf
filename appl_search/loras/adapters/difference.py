"""Full differences of weights and biases, and weights to be put in place of the layer's own."""

from __future__ import annotations

import torch
from torch import Tensor

from .base import Adapter, Parts, norm

WEIGHT, NORM_WEIGHT, BIAS, NORM_BIAS, SET = ".diff", ".w_norm", ".diff_b", ".b_norm", ".set_weight"


class Difference(Adapter):
    """A tensor of the parameter's own shape. Norms have names of their own; their bias is loaded beside their weight only."""

    name = "diff"
    endings = dict.fromkeys((WEIGHT, NORM_WEIGHT, BIAS, NORM_BIAS, SET), ())
    options = ()
    scaled = ((WEIGHT,), (NORM_WEIGHT,), (BIAS,), (NORM_BIAS,))

    def check(self, parts: Parts) -> None:
        """Nothing to check: each tensor stands for itself."""

    def parameters(self, parts: Parts) -> tuple[str, ...]:
        weight = any(ending in parts for ending in (WEIGHT, NORM_WEIGHT, SET))
        bias = BIAS in parts or (NORM_BIAS in parts and NORM_WEIGHT in parts)
        return ("weight",) * weight + ("bias",) * bias

    def fits(self, parts: Parts, weight: torch.Size) -> bool:
        """``parts``: those of one parameter."""
        return all(part.shape == weight for part in parts.values())

    def whole(self, parts: Parts) -> Tensor | None:
        return None if SET in parts else next(iter(parts.values()))

    def norm(self, parts: Parts) -> float | None:
        """Of all its parameters together, where ``parts`` has several."""
        return None if SET in parts else sum(norm(part) ** 2 for part in self.own(parts).values()) ** 0.5

    def is_linear(self, parts: Parts) -> bool:
        return SET not in parts

    def depends_on_weight(self, parts: Parts) -> bool:
        return SET in parts

    def is_scalable(self, parts: Parts) -> bool:
        return SET not in parts

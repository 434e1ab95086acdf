"""What every kind of adapter says about itself.

``parts`` below are the tensors that a LoRA file has for one layer, by the endings of their keys (".lora_up.weight").
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor

ALPHA, DORA_SCALE = ".alpha", ".dora_scale"
Parts = Mapping[str, Tensor]
#: (down [rank, in ...], up [out, rank]) in fp32, with every scale in ``up``.
Factors = tuple[Tensor, Tensor]


class Flaw(ValueError):
    """Tensors of an adapter that do not go together, in words; what reads the file adds its name and the key."""


class Adapter:
    """One way of writing down what is added to a layer's weight. Stateless; sizes are of ComfyUI's ``weight_adapter``."""

    #: What the adapter is called in messages.
    name: ClassVar[str]
    #: Endings of the keys of its tensors, and other endings that mean the same.
    endings: ClassVar[Mapping[str, tuple[str, ...]]]
    #: Endings of keys that change what it does, and which other kinds may have too.
    options: ClassVar[tuple[str, ...]] = (ALPHA, DORA_SCALE)
    #: What to multiply so that the whole is multiplied once: of each group the first that there is.
    scaled: ClassVar[tuple[tuple[str, ...], ...]] = ()

    def is_in(self, parts: Parts) -> bool:
        """Whether a layer has an adapter of this kind."""
        return any(ending in parts for ending in self.endings)

    def own(self, parts: Parts) -> dict[str, Tensor]:
        """Those of the tensors that belong to this kind."""
        return {ending: part for ending, part in parts.items() if ending in self.endings or ending in self.options}

    def check(self, parts: Parts) -> None:
        """Raises :class:`Flaw` unless all tensors are there and go together, whatever the layer."""
        raise NotImplementedError

    def fits(self, parts: Parts, weight: torch.Size) -> bool:
        """Whether tensors that passed :meth:`check` are for a weight of this shape."""
        raise NotImplementedError

    def parameters(self, parts: Parts) -> tuple[str, ...]:
        """Which parameters of the layer are patched: "weight", "bias"."""
        return ("weight",)

    def factors(self, parts: Parts) -> Factors | None:
        """The difference as a product of two factors, None where it has no such form."""
        return None

    def whole(self, parts: Parts) -> Tensor | None:
        """The difference, where the file has it as one tensor."""
        return None

    def kind(self, parts: Parts) -> str:
        """Its name, with what is said of a weight decomposition (DoRA)."""
        return f"{self.name}+dora" if DORA_SCALE in parts else self.name

    def rank(self, parts: Parts) -> int | None:
        """The inner size of the adapter's product; None for what is no product."""
        return None

    def norm(self, parts: Parts) -> float | None:
        """Frobenius norm of the difference at strength 1, from the factors in fp64; None where it is made from the weight."""
        if self.depends_on_weight(parts):
            return None
        if (whole := self.whole(parts)) is not None:
            return norm(whole)
        factors = self.factors(parts)
        return None if factors is None else product_norm(factors[1].double(), factors[0].flatten(1).double())

    def is_linear(self, parts: Parts) -> bool:
        """Whether the difference is proportional to the LoRA's strength."""
        return True

    def depends_on_weight(self, parts: Parts) -> bool:
        """Whether the difference is made from the weight that it is added to."""
        return DORA_SCALE in parts

    def is_scalable(self, parts: Parts) -> bool:
        """Whether the difference is proportional to the tensors named in ``scaled``."""
        return DORA_SCALE not in parts

    def to_scale(self, parts: Parts) -> set[str]:
        """The endings of the tensors to multiply; see ``scaled``."""
        return {found for group in self.scaled if (found := next((e for e in group if e in parts), None))}


def require(parts: Parts, *endings: str) -> None:
    """Raises :class:`Flaw` for a tensor that is not there."""
    for ending in endings:
        if ending not in parts:
            there = ", ".join(other[1:] for other in endings if other in parts)
            raise Flaw(f"has {there or 'a part of an adapter'} without {ending[1:]}")


def matrix(parts: Parts, ending: str, dimensions: tuple[int, ...] = (2, 3, 4, 5)) -> torch.Size:
    """The shape of a tensor that must have one of these numbers of dimensions; raises :class:`Flaw`."""
    shape = parts[ending].shape
    if len(shape) not in dimensions:
        expected = " or ".join(map(str, dimensions)) if len(dimensions) < 3 else f"{dimensions[0]} or more"
        raise Flaw(f"{ending[1:]} has shape {tuple(shape)}, expected {expected} dimensions")
    return shape


def same_rank(parts: Parts, *endings: str, agree: bool) -> None:
    """Raises :class:`Flaw` that shows the shapes of tensors, unless their ranks agree."""
    if not agree:
        shapes = ", ".join(f"{ending[1:]} {tuple(parts[ending].shape)}" for ending in endings if ending in parts)
        raise Flaw(f"has tensors that do not fit each other: {shapes}")


def is_size(weight: torch.Size, rows: int, columns: int) -> bool:
    """Whether a weight is a matrix of this size, with all dimensions but the first as columns."""
    return bool(weight) and weight[0] == rows and weight[1:].numel() == columns


def decomposition_fits(parts: Parts, weight: torch.Size) -> bool:
    """Whether the scale of a weight decomposition (DoRA) is one for each row or for each column of a weight."""
    scale = parts.get(DORA_SCALE)
    if scale is None:
        return True
    return scale.ndim == len(weight) and all(size in (1, there) for size, there in zip(scale.shape, weight))


def norm(tensor: Tensor) -> float:
    """Frobenius norm of a tensor of any shape: of each row in fp32 or better, which is quicker, and of all rows in fp64."""
    rows = tensor.flatten(1) if tensor.ndim > 1 else tensor.view(1, -1)
    dtype = torch.float64 if tensor.dtype == torch.float64 else torch.float32
    return float(torch.linalg.vector_norm(torch.linalg.vector_norm(rows, dim=1, dtype=dtype).double()))


def product_norm(up: Tensor, down: Tensor) -> float:
    """Frobenius norm of up [out, r] times down [r, in], without the product: tr(up^T up down down^T)."""
    return max(float((up.mT @ up * (down @ down.mT)).sum(dtype=torch.float64)), 0.0) ** 0.5


def scale(parts: Parts, rank: int) -> float:
    """alpha / rank, 1 without an alpha."""
    return float(parts[ALPHA]) / rank if ALPHA in parts else 1.0

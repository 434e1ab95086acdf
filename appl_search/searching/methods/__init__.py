"""The optimisers, behind one interface."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from torch import Tensor

from ...gradients.batch import Gradients
from ...gradients.rates import Rates
from ...settings import SearchSettings
from .quadratic import Quadratic


class Method(Protocol):
    """An optimiser over the parameters [p] of a search."""

    def probes(self, batch_size: int) -> int:
        """How many examples of the next batch should come with probes."""

    @property
    def parameters(self) -> Tensor:
        """Where the next batch is to be evaluated, [p] in fp64."""

    def step(self, batch: Gradients) -> None:
        """Takes in a batch evaluated at :attr:`parameters` and moves them."""

    def solution(self) -> Tensor:
        """The best parameters known, [p] in fp64."""

    def candidates(self) -> Sequence[Tensor]:
        """Others that may be better than :meth:`solution`, to be compared on fresh draws at the end."""

    def is_done(self) -> bool:
        """Whether more batches would hardly bring anything."""

    def model(self) -> Quadratic | None:
        """The quadratic model that :meth:`solution` is the minimum of, or None."""


def create(rates: Rates, settings: SearchSettings) -> Method:
    """The method that the settings name."""
    from .adamw import AdamW
    from .gauss_newton import GaussNewton

    return {"gauss-newton": GaussNewton, "adamw": AdamW}[settings.method](rates, settings)

"""What a method is: an optimiser over the parameters of a search."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

from torch import Tensor

from ...gradients.batch import Gradients
from ...gradients.rates import Rates
from ...settings import SearchSettings
from .quadratic import Quadratic


class Method(ABC):
    """An optimiser over the parameters [p] of a search, found by its name in this folder.

    ``name``: what the settings call it. ``has_model``: whether :meth:`model` gives one, from which standard errors and
    the path over penalties come.
    """

    name: ClassVar[str]
    has_model: ClassVar[bool] = False

    @abstractmethod
    def __init__(self, rates: Rates, settings: SearchSettings): ...

    @property
    @abstractmethod
    def parameters(self) -> Tensor:
        """Where the next batch is to be evaluated, [p] in fp64."""

    @abstractmethod
    def step(self, batch: Gradients) -> None:
        """Takes in a batch evaluated at :attr:`parameters` and moves them."""

    @abstractmethod
    def state_dict(self) -> dict:
        """Plain tensors and numbers, from which another object goes on exactly as this one would."""

    @abstractmethod
    def load_state_dict(self, state: dict) -> None:
        """The inverse of :meth:`state_dict`."""

    def probes(self, batch_size: int) -> int:
        """How many examples of the next batch should come with probes."""
        return 0

    def solution(self) -> Tensor:
        """The best parameters known, [p] in fp64."""
        return self.parameters

    def candidates(self) -> Sequence[Tensor]:
        """Others that may be better than :meth:`solution`, to be compared on fresh draws at the end."""
        return ()

    def is_done(self) -> bool:
        """Whether more batches would hardly bring anything."""
        return False

    def model(self) -> Quadratic | None:
        """The quadratic model that :meth:`solution` is the minimum of, or None."""
        return None

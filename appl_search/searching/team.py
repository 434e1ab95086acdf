"""Who computes a search: one process alone, or several that take every step together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from ..gradients.batch import Gradients


class Team(Protocol):
    """The processes of a search. Each has the whole state and takes the same steps; only gradients are shared out."""

    @property
    def is_main(self) -> bool:
        """Whether this process is the one that shows and saves things."""

    def mine(self, count: int) -> Sequence[int]:
        """Which rows of a batch of ``count`` this process computes, ascending."""

    def gather(self, part: Gradients) -> Gradients:
        """What all processes computed of their rows, in the order of the batch: everyone gets the same."""

    def agree(self, finish: bool = False, error: BaseException | None = None) -> bool:
        """Whether any process wants to finish. An error of any of them is raised in all."""


class Solo:
    """One process that does everything."""

    is_main = True

    def mine(self, count: int) -> Sequence[int]:
        return range(count)

    def gather(self, part: Gradients) -> Gradients:
        return part

    def agree(self, finish: bool = False, error: BaseException | None = None) -> bool:
        if error is not None:
            raise error
        return finish

"""Who computes a search: one process alone, or several that take every step together."""

from __future__ import annotations

import datetime
import os
import pickle
from collections.abc import Sequence
from typing import Any, Protocol

import torch
import torch.distributed as dist
from torch import Tensor

from ..gradients.batch import Gradients

#: How long a process may keep the others waiting: for a preview picture, say, or for its models to load.
PATIENCE = datetime.timedelta(minutes=30)


class TeamError(RuntimeError):
    """Another process of the search failed or is gone, so this one cannot go on."""


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


class Several:
    """Processes that a launcher started: `accelerate launch`, or torch's own `torchrun`.

    Made by :func:`launched_team`. ``group``: of torch.distributed, over gloo, because gradients are small and on the CPU;
    it notices at once when a process is gone. Rows are dealt out by turns, so that a sample's place in the batch says whose
    it is.
    """

    def __init__(self, group: Any = None):
        self._group = group
        self._number, self.size = dist.get_rank(group), dist.get_world_size(group)

    @property
    def is_main(self) -> bool:
        return self._number == 0

    def mine(self, count: int) -> Sequence[int]:
        return range(self._number, count, self.size)

    def gather(self, part: Gradients) -> Gradients:
        parts = self._all((part.losses.numpy(), part.gradients.numpy(), part.probes.numpy()))
        losses, gradients, probes = (_dealt([torch.from_numpy(each[place]) for each in parts]) for place in range(3))
        return Gradients(losses, gradients, probes)

    def agree(self, finish: bool = False, error: BaseException | None = None) -> bool:
        said = None if error is None else f"{type(error).__name__}: {str(error)[:500]}"
        answers = self._all((finish, said, isinstance(error, KeyboardInterrupt)))
        if error is not None:
            raise error
        for number, (_, other, is_interrupt) in enumerate(answers):
            if is_interrupt:
                raise KeyboardInterrupt
            if other is not None:
                raise TeamError(f"Process {number} of the search failed, so all end. It said: {other}")
        return any(finish for finish, _, _ in answers)

    def _all(self, value: Any) -> list[Any]:
        """What each process says, in their order. Raises TeamError when one is gone."""
        answers: list[Any] = [None] * self.size
        try:
            dist.all_gather_object(answers, value, self._group)
        except (RuntimeError, pickle.UnpicklingError, EOFError) as error:
            raise TeamError(
                f"Another process of the search is gone, so this one ends too ({str(error).splitlines()[0][:200]}). What it said is above."
            ) from error
        return answers


def is_first_process() -> bool:
    """Whether this process is the one that people are told things by, also before there is a team."""
    return int(os.environ.get("WORLD_SIZE", "1")) == 1 or int(os.environ.get("RANK", "0")) == 0


def launched_team() -> Team:
    """The team that a launcher started this process for, by what it put in the environment; alone without one.

    Each process takes the accelerator of its number on its machine; this must come before a model is loaded.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        return Solo()
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
    if not dist.is_initialized():
        dist.init_process_group("gloo", timeout=PATIENCE)
    return Several()


def _dealt(parts: Sequence[Tensor]) -> Tensor:
    """Rows in the order of the batch, of what each process has of them."""
    whole = torch.empty(sum(map(len, parts)), *parts[0].shape[1:], dtype=parts[0].dtype)
    for number, part in enumerate(parts):
        whole[number :: len(parts)] = part
    return whole

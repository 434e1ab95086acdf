"""What a search looks at: which picture, at which noise level, with which noise; the same for the same seed everywhere."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

#: Draws of different purposes have nothing in common, whatever the seed.
SEARCH, VALIDATION, CHECK = "search", "validation", "check"


@dataclass(frozen=True)
class Draw:
    """One batch of samples.

    ``indices`` [b]: of the pictures. ``levels`` [b], fp64 in 0..1: how noisy, from the least to the most; the host's
    schedule maps them to its noise levels. ``noise``, ``probes``: b tensors of the picture's shape each, of the noise
    and of the random outputs that a method may probe with.
    """

    indices: Tensor
    levels: Tensor
    noise: Sequence[Tensor]
    probes: Sequence[Tensor]

    def __len__(self) -> int:
        return len(self.indices)

    def of(self, rows: Sequence[int]) -> Draw:
        """These rows alone, in this order."""
        rows = list(rows)
        return Draw(self.indices[rows], self.levels[rows], _Rows(self.noise, rows), _Rows(self.probes, rows))


class Draws(Iterator[Draw]):
    """Batches of ``batch_size`` until ``samples`` are used up; the last one may be smaller.

    Everything of a sample comes from the seed and the number of the sample or of its batch, and from nothing that was
    drawn before: ``position``, the number of samples that were used, is all the state there is. Noise levels are
    stratified: each batch has one in each of its equal parts of 0..1. Pictures come in random order, each once before
    any comes again. ``shapes``: of the pictures' latents.
    """

    def __init__(self, shapes: Sequence[torch.Size], samples: int, batch_size: int, seed: int, purpose: str = SEARCH):
        self._shapes, self._samples, self._batch_size = list(shapes), samples, batch_size
        self._seed = f"{seed}/{purpose}"
        self._epoch, self._order = -1, []
        self.position = 0

    def __next__(self) -> Draw:
        if self.position >= self._samples:
            raise StopIteration
        numbers = range(self.position, min(self.position + self._batch_size, self._samples))
        self.position = numbers.stop
        return self._draw(numbers)

    def _draw(self, numbers: range) -> Draw:
        generator = _generator(self._seed, "levels", numbers.start)
        strata = torch.randperm(len(numbers), generator=generator)
        levels = (strata + torch.rand(len(numbers), generator=generator, dtype=torch.float64)) / len(numbers)
        indices = [self._picture(number) for number in numbers]
        shapes = [self._shapes[index] for index in indices]
        noise, probes = (_Noise(self._seed, kind, numbers, shapes) for kind in ("noise", "probe"))
        return Draw(torch.tensor(indices), levels, noise, probes)

    def _picture(self, number: int) -> int:
        epoch, place = divmod(number, len(self._shapes))
        if epoch != self._epoch:
            self._order = torch.randperm(len(self._shapes), generator=_generator(self._seed, "order", epoch)).tolist()
            self._epoch = epoch
        return self._order[place]

    def state_dict(self) -> dict:
        return {"position": self.position}

    def load_state_dict(self, state: dict) -> None:
        self.position = state["position"]


class RecordedDraws(Iterator[Draw]):
    """Batches that somebody wrote down: (indices [b], timesteps [b], noise [b, 4, h, w]) each.

    ``timesteps``: how many the schedule has that they were written down for.
    """

    def __init__(self, recorded: Iterable[tuple[Tensor, Tensor, Tensor]], timesteps: int, seed: int = 0):
        self._recorded, self._timesteps, self._seed = list(recorded), timesteps, f"{seed}/recorded"
        self.position = 0

    def __next__(self) -> Draw:
        if self.position >= len(self._recorded):
            raise StopIteration
        indices, timesteps, noise = self._recorded[self.position]
        first = sum(len(batch[0]) for batch in self._recorded[: self.position])
        self.position += 1
        probes = _Noise(self._seed, "probe", range(first, first + len(noise)), [each.shape for each in noise])
        levels = (torch.as_tensor(timesteps).double() + 0.5) / self._timesteps  # the middle of what maps to each
        return Draw(torch.as_tensor(indices), levels, list(noise), probes)

    def state_dict(self) -> dict:
        return {"position": self.position}

    def load_state_dict(self, state: dict) -> None:
        self.position = state["position"]


class _Noise(Sequence[Tensor]):
    """Normal noise of samples by their numbers, made when it is asked for: nobody makes what only others need."""

    def __init__(self, seed: str, kind: str, numbers: Sequence[int], shapes: Sequence[torch.Size]):
        self._seed, self._kind, self._numbers, self._shapes = seed, kind, numbers, shapes

    def __len__(self) -> int:
        return len(self._shapes)

    def __getitem__(self, row: int) -> Tensor:
        return torch.randn(self._shapes[row], generator=_generator(self._seed, self._kind, self._numbers[row]))


class _Rows(Sequence[Tensor]):
    """Some of the tensors of a sequence."""

    def __init__(self, all_rows: Sequence[Tensor], rows: Sequence[int]):
        self._all, self._rows = all_rows, rows

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, row: int) -> Tensor:
        return self._all[self._rows[row]]


def _generator(seed: str, kind: str, number: int) -> torch.Generator:
    """A generator of its own. torch's for the CPU looks at 32 bits of a seed only, so these depend on all of it."""
    digest = hashlib.blake2b(f"{seed}/{kind}/{number}".encode(), digest_size=4).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest, "big"))

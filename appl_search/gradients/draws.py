"""What a search looks at: which picture, at which noise level, with which noise; the same for the same seed everywhere."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

#: Draws of different purposes have nothing in common, whatever the seed.
SEARCH, VALIDATION, CHECK, CHOICE, COMPARISON, SINGLE, ABLATION = "search", "validation", "check", "choice", "comparison", "single", "ablation"

#: Multiples of it, modulo 1, are evenly spread however many there are.
GOLDEN = (5**0.5 - 1) / 2


@dataclass(frozen=True, kw_only=True)
class Draw:
    """One batch of samples.

    ``numbers``: of the samples, counted over the whole search. ``indices`` [b]: of the pictures. ``levels`` [b], fp64 in 0..1: how noisy, from the least to the most; the host's
    schedule maps them to its noise levels. ``noise``, ``probes``: b tensors of the picture's shape each, of the noise
    and of the random outputs that a method may probe with. ``generators``: one for each sample, for whatever else of it is
    random.
    """

    numbers: Sequence[int]
    indices: Tensor
    levels: Tensor
    noise: Sequence[Tensor]
    probes: Sequence[Tensor]
    generators: Sequence[torch.Generator]

    def __len__(self) -> int:
        return len(self.indices)

    def of(self, rows: Sequence[int]) -> Draw:
        """These rows alone, in this order."""
        rows = list(rows)
        return Draw(
            numbers=[self.numbers[row] for row in rows],
            indices=self.indices[rows],
            levels=self.levels[rows],
            noise=_Rows(self.noise, rows),
            probes=_Rows(self.probes, rows),
            generators=_Rows(self.generators, rows),
        )


class _Positioned(ABC):
    """Batches one after the other; ``position`` is all the state there is."""

    def __init__(self) -> None:
        self.position = 0

    @abstractmethod
    def current(self) -> Draw | None:
        """The batch at the position; None at the end."""

    @abstractmethod
    def advance(self) -> None:
        """On to the next batch."""

    def coming(self) -> list[tuple[int, int]]:
        """(picture, number) of each sample after the batch at the position, as far as that is known: of the next batch."""
        return []

    def __iter__(self) -> Iterator[Draw]:
        while (draw := self.current()) is not None:
            yield draw
            self.advance()

    def state_dict(self) -> dict:
        return {"position": self.position}

    def load_state_dict(self, state: dict) -> None:
        self.position = state["position"]


class Draws(_Positioned):
    """Batches of ``batch_size`` until ``samples`` are used up; the last one may be smaller.

    Everything of a sample comes from the seed and the number of the sample or of its batch, and from nothing that was
    drawn before. ``position``: how many samples were used. Noise levels are stratified: each batch has one in each of
    its equal parts of 0..1, and the visits of each picture are spread over them: what the gradient depends on is the picture and the
    level, far more than the noise. Pictures come in random order, each once before any comes again. ``shapes``: of the
    pictures' latents. ``levels``: the part of 0..1 that noise levels are drawn from. ``pictures``: those of them to draw;
    all, unless given.
    """

    def __init__(
        self,
        shapes: Sequence[torch.Size],
        samples: int,
        batch_size: int,
        seed: int,
        purpose: str = SEARCH,
        levels: tuple[float, float] = (0.0, 1.0),
        pictures: Sequence[int] | None = None,
    ):
        super().__init__()
        self._least, self._most = levels
        self._pictures = list(range(len(shapes)) if pictures is None else pictures)
        self._shapes, self._samples, self._batch_size = list(shapes), samples, batch_size
        self._seed = f"{seed}/{purpose}"
        self._epoch, self._order = -1, []

    def current(self) -> Draw | None:
        numbers = range(self.position, min(self.position + self._batch_size, self._samples))
        return self._draw(numbers) if numbers else None

    def advance(self) -> None:
        self.position = min(self.position + self._batch_size, self._samples)

    def coming(self) -> list[tuple[int, int]]:
        first = self.position + self._batch_size
        return [(self._picture(number), number) for number in range(first, min(first + self._batch_size, self._samples))]

    def _draw(self, numbers: range) -> Draw:
        generator = _generator(self._seed, "levels", numbers.start)
        indices = [self._picture(number) for number in numbers]
        strata = self._strata(numbers, indices)
        levels = (strata + torch.rand(len(numbers), generator=generator, dtype=torch.float64)) / len(numbers)
        levels = self._least + (self._most - self._least) * levels
        shapes = [self._shapes[index] for index in indices]
        noise, probes = (_Noise(self._seed, kind, numbers, shapes) for kind in ("noise", "probe"))
        return Draw(
            numbers=numbers,
            indices=torch.tensor(indices),
            levels=levels,
            noise=noise,
            probes=probes,
            generators=_Generators(self._seed, numbers),
        )

    def _strata(self, numbers: range, indices: Sequence[int]) -> Tensor:
        """Which of the batch's parts of 0..1 each sample's level is in [b]: every part once, and each picture in other parts than before.

        In the order of levels that would be evenly apart over the pictures of an epoch, and golden steps apart over the visits of a
        picture, turned by a random part of a round.
        """
        count, size = len(self._pictures), len(numbers)
        place = {picture: place for place, picture in enumerate(self._pictures)}
        wished = [(place[index] / count + number // count * GOLDEN) % 1 for number, index in zip(numbers, indices)]
        turn = torch.rand((), generator=_generator(self._seed, "turn", 0), dtype=torch.float64)
        return (torch.tensor(wished, dtype=torch.float64).argsort().argsort() + int(turn * size)) % size

    def _picture(self, number: int) -> int:
        epoch, place = divmod(number, len(self._pictures))
        if epoch != self._epoch:
            self._order = torch.randperm(len(self._pictures), generator=_generator(self._seed, "order", epoch)).tolist()
            self._epoch = epoch
        return self._pictures[self._order[place]]


class RecordedDraws(_Positioned):
    """Batches that somebody wrote down: (indices [b], timesteps [b], noise [b, 4, h, w]) each.

    ``position``: how many batches were used. ``timesteps``: how many the schedule has that they were written down for.
    """

    def __init__(self, recorded: Iterable[tuple[Tensor, Tensor, Tensor]], timesteps: int, seed: int = 0):
        super().__init__()
        self._recorded, self._timesteps, self._seed = list(recorded), timesteps, f"{seed}/recorded"

    def current(self) -> Draw | None:
        if self.position >= len(self._recorded):
            return None
        indices, timesteps, noise = self._recorded[self.position]
        first = sum(len(batch[0]) for batch in self._recorded[: self.position])
        numbers = range(first, first + len(noise))
        probes = _Noise(self._seed, "probe", numbers, [each.shape for each in noise])
        levels = (torch.as_tensor(timesteps).double() + 0.5) / self._timesteps  # the middle of what maps to each
        return Draw(
            numbers=numbers,
            indices=torch.as_tensor(indices),
            levels=levels,
            noise=list(noise),
            probes=probes,
            generators=_Generators(self._seed, numbers),
        )

    def advance(self) -> None:
        self.position += 1


class _Noise(Sequence[Tensor]):
    """Normal noise of samples by their numbers, made when it is asked for: nobody makes what only others need."""

    def __init__(self, seed: str, kind: str, numbers: Sequence[int], shapes: Sequence[torch.Size]):
        self._seed, self._kind, self._numbers, self._shapes = seed, kind, numbers, shapes

    def __len__(self) -> int:
        return len(self._shapes)

    def __getitem__(self, row: int) -> Tensor:
        return torch.randn(self._shapes[row], generator=_generator(self._seed, self._kind, self._numbers[row]))


class _Generators(Sequence[torch.Generator]):
    """Of samples by their numbers, each at its beginning whenever it is asked for."""

    def __init__(self, seed: str, numbers: Sequence[int]):
        self._seed, self._numbers = seed, numbers

    def __len__(self) -> int:
        return len(self._numbers)

    def __getitem__(self, row: int) -> torch.Generator:
        return _generator(self._seed, "options", self._numbers[row])


class _Rows(Sequence):
    """Some members of a sequence."""

    def __init__(self, all_rows: Sequence, rows: Sequence[int]):
        self._all, self._rows = all_rows, rows

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, row: int):
        return self._all[self._rows[row]]


def _generator(seed: str, kind: str, number: int) -> torch.Generator:
    """A generator of its own. torch's for the CPU looks at 32 bits of a seed only, so these depend on all of it."""
    digest = hashlib.blake2b(f"{seed}/{kind}/{number}".encode(), digest_size=4).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest, "big"))

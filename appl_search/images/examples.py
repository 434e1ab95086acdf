"""Encoded examples: each picture once, or in several versions where its samples differ."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from torch import Size

from .cache import Entry, FileEntry
from .memory import MemoryEntry
from .pictures import Example

#: Samples that are read before they are asked for; a sample of 1024 x 1024 pixels is a megabyte.
_MOST_AHEAD = 64


@dataclass(frozen=True)
class Encoded:
    """An :class:`Example` whose tensors are wherever they are kept: "latent" and "mask" of the image, "context" and "pooled" of the text."""

    image: Entry
    text: Entry
    sizes: Mapping[str, int]
    caption: str | None
    weight: float
    name: str
    max_tokens: int

    @classmethod
    def of(cls, example: Example) -> Encoded:
        """What came encoded."""
        image = {"latent": example.latent} | ({} if example.mask is None else {"mask": example.mask})
        text = MemoryEntry({"context": example.context, "pooled": example.pooled})
        return cls(
            MemoryEntry(image), text, example.sizes, example.caption, example.weight, example.name, example.max_tokens
        )  # fmt: skip

    @property
    def latent_shape(self) -> Size:
        return self.image.shapes["latent"]

    @property
    def context_shape(self) -> Size:
        return self.text.shapes["context"]

    @property
    def is_on_disk(self) -> bool:
        return isinstance(self.image, FileEntry) or isinstance(self.text, FileEntry)

    def load(self) -> Example:
        """With its tensors. Raises CacheError where a file of theirs cannot be read any more."""
        image, text = self.image.load(), self.text.load()
        return Example(
            latent=image["latent"],
            context=text["context"],
            pooled=text["pooled"],
            sizes=dict(self.sizes),
            caption=self.caption,
            mask=image.get("mask"),
            weight=self.weight,
            name=self.name,
            max_tokens=self.max_tokens,
        )


class Examples(Sequence[Encoded]):
    """The examples of one epoch, in a fixed order; a picture that is repeated stands there several times.

    As a sequence it has the first version of each. :meth:`of` gives what a sample takes.
    """

    def __init__(self, versions: Sequence[Sequence[Encoded]], order: Sequence[int], seed: int):
        """``versions``: of each item of the training set; ``order``: positions of items."""
        self._versions, self._order, self._seed = versions, order, seed
        self._reader: ThreadPoolExecutor | None = None
        self._coming: dict[tuple[int, int], Future[Example]] = {}

    def __len__(self) -> int:
        return len(self._order)

    def __getitem__(self, index: int) -> Encoded:
        return self._versions[self._order[index]][0]

    def __iter__(self) -> Iterator[Encoded]:
        return (self[index] for index in range(len(self)))

    @property
    def items(self) -> Sequence[int]:
        """Which item of the training set each example is."""
        return self._order

    def close(self) -> None:
        """Ends the reading."""
        self._coming = {}
        if self._reader is not None:
            self._reader.shutdown(cancel_futures=True)

    def version(self, index: int, number: int) -> Encoded:
        """What sample ``number`` of the search takes of the example at ``index``: a function of both and the seed alone."""
        versions = self._versions[self._order[index]]
        if len(versions) == 1:
            return versions[0]
        return versions[random.Random(f"version {self._seed} {number}").randrange(len(versions))]

    def of(self, index: int, number: int) -> Example:
        """The same with its tensors."""
        coming = self._coming.pop((index, number), None)
        return self.version(index, number).load() if coming is None else coming.result()

    def read_ahead(self, samples: Sequence[tuple[int, int]]) -> None:
        """Begins to read what these samples (index, number) take from the disk, in a thread beside whatever else is done.

        What was begun in the call before and is not taken yet stays.
        """
        self._coming = dict(list(self._coming.items())[-_MOST_AHEAD:])
        for index, number in samples[:_MOST_AHEAD]:
            encoded = self.version(index, number)
            if encoded.is_on_disk:
                if self._reader is None:
                    self._reader = ThreadPoolExecutor(1, "appl_search reading")
                self._coming[index, number] = self._reader.submit(encoded.load)

"""Twenty rates for one LoRA: the result of a search, or numbers of one's own."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from ..architectures.blocks import BLOCK_NAMES, NUM_BLOCKS, block_index
from ..loras.files import LoraLayout, LoraSource, read_layout
from . import registry


@dataclass(frozen=True)
class BlockWeights:
    """The 20 rates of one LoRA, in the order of :data:`appl_search.architectures.blocks.BLOCK_NAMES`.

    ``values``: 0.0 for a block that the LoRA has no keys for. ``stderr``: standard errors, NaN where
    there is none. ``layout`` says which file the rates are for and which blocks it has, so that every
    format can be written without opening the file again.
    """

    layout: LoraLayout
    values: tuple[float, ...]
    stderr: tuple[float, ...] = (math.nan,) * NUM_BLOCKS

    def __post_init__(self) -> None:
        for what in ("values", "stderr"):
            numbers = tuple(float(number) for number in getattr(self, what))
            if len(numbers) != NUM_BLOCKS:
                raise ValueError(
                    f"Block weights of {self.name!r}: {what} has {len(numbers)} numbers, expected "
                    f"{NUM_BLOCKS} ({', '.join(BLOCK_NAMES)})."
                )
            object.__setattr__(self, what, numbers)
        for block, value in zip(BLOCK_NAMES, self.values):
            if not math.isfinite(value):
                raise ValueError(f"Block weights of {self.name!r}: {block} is {value}, expected a finite number.")
        values = tuple(v if there else 0.0 for v, there in zip(self.values, self.present))
        object.__setattr__(self, "values", values)

    @classmethod
    def for_lora(cls, source: LoraSource, values: Sequence[float] | Mapping[str, float]) -> BlockWeights:
        """Rates of one's own for a LoRA file: 20 numbers, or some by block name (the others are 1)."""
        if isinstance(values, Mapping):
            given = {block_index(block): rate for block, rate in values.items()}
            values = [given.get(block, 1.0) for block in range(NUM_BLOCKS)]
        return cls(read_layout(source), tuple(values))

    @classmethod
    def parse(cls, text: str, lora: LoraSource, format: str | None = None) -> BlockWeights:
        """The rates that a text gives a LoRA file; see :func:`appl_search.weights.formats.parse`."""
        return registry.read(text, read_layout(lora), format)

    @property
    def name(self) -> str:
        return self.layout.name

    @property
    def present(self) -> tuple[bool, ...]:
        """For each of the 20 blocks: whether the LoRA has any key for it."""
        return self.layout.present

    def __getitem__(self, block: str) -> float:
        return self.values[block_index(block)]

    def items(self) -> Iterator[tuple[str, float]]:
        """(block name, rate) of the blocks that the LoRA has."""
        return ((BLOCK_NAMES[i], self.values[i]) for i in range(NUM_BLOCKS) if self.present[i])

    def to_string(self, format: str = "plain", digits: int = 3) -> str:
        """The rates as a consumer reads them; see :mod:`appl_search.weights.formats` for the names."""
        return registry.find_format(format).write(self, digits)

    def to_dict(self) -> dict:
        """JSON-ready and readable: absent blocks are left out, unknown errors too."""
        return {
            "name": self.name,
            "sha256": self.layout.sha256,
            "groups": dict(self.layout.groups),
            "block_weights": dict(self.items()),
            "stderr": {
                BLOCK_NAMES[i]: self.stderr[i]
                for i in range(NUM_BLOCKS)
                if self.present[i] and not math.isnan(self.stderr[i])
            },
        }

    @classmethod
    def from_dict(cls, data: Mapping) -> BlockWeights:
        """The inverse of :meth:`to_dict`; ValueError names what is missing."""
        for key in ("name", "sha256", "groups", "block_weights"):
            if key not in data:
                raise ValueError(f"Saved block weights have no {key!r}. Expected a result saved by this pack.")
        values, stderr = [0.0] * NUM_BLOCKS, [math.nan] * NUM_BLOCKS
        for block, value in data["block_weights"].items():
            values[block_index(block)] = value
        for block, value in data.get("stderr", {}).items():
            stderr[block_index(block)] = value
        return cls(LoraLayout(data["name"], data["sha256"], dict(data["groups"])), tuple(values), tuple(stderr))

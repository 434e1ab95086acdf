"""A rate for each block of one LoRA: the result of a search, or numbers of one's own."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from ..architectures import DEFAULT, TEXT_ENCODERS, UNET_OTHER, named
from ..loras.layout import LoraLayout, read_layout
from ..loras.source import LoraSource
from . import registry
from .fields import Fields, finite, whole

#: More keys than one part of any model has.
MOST_KEYS = 10_000


@dataclass(frozen=True)
class BlockWeights:
    """The rates of one LoRA, in the order of its architecture's blocks (20 for SDXL).

    ``values``: 0.0 for a block that the LoRA has no keys for. ``stderr``: standard errors, NaN where
    there is none; () for none at all. ``layout`` says which file the rates are for and which blocks it has, so that every
    format can be written without opening the file again.
    """

    layout: LoraLayout
    values: tuple[float, ...]
    stderr: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "stderr", self.stderr or (math.nan,) * len(self.blocks))
        for what in ("values", "stderr"):
            numbers = tuple(float(number) for number in getattr(self, what))
            if len(numbers) != len(self.blocks):
                raise ValueError(
                    f"Block weights of {self.name!r}: {what} has {len(numbers)} numbers, expected "
                    f"{len(self.blocks)} ({', '.join(self.blocks)})."
                )
            object.__setattr__(self, what, numbers)
        for block, value in zip(self.blocks, self.values):
            if not math.isfinite(value):
                raise ValueError(f"Block weights of {self.name!r}: {block} is {value}, expected a finite number.")
        values = tuple(v if there else 0.0 for v, there in zip(self.values, self.present))
        object.__setattr__(self, "values", values)

    @classmethod
    def for_lora(cls, source: LoraSource, values: Sequence[float] | Mapping[str, float]) -> BlockWeights:
        """Rates of one's own for a LoRA file: a number for each block, or some by block name (the others are 1)."""
        layout = read_layout(source)
        if isinstance(values, Mapping):
            given = {layout.architecture.block_index(block): rate for block, rate in values.items()}
            values = [given.get(block, 1.0) for block in range(len(layout.architecture.blocks))]
        return cls(layout, tuple(values))

    @classmethod
    def uniform(cls, source: LoraSource, strength: float, text_encoders: float | None = None) -> BlockWeights:
        """One strength for all blocks of a LoRA file, or another for the one that has the text encoders."""
        layout = read_layout(source)
        values = [strength] * len(layout.architecture.blocks)
        if text_encoders is not None:
            values[layout.architecture.block_of_group(TEXT_ENCODERS)] = text_encoders
        return cls(layout, tuple(values))

    @classmethod
    def parse(cls, text: str, lora: LoraSource, format: str | None = None) -> BlockWeights:
        """The rates that a text gives a LoRA file; see :func:`appl_search.weights.formats.parse`."""
        return registry.read(text, read_layout(lora), format)

    @property
    def name(self) -> str:
        return self.layout.name

    @property
    def blocks(self) -> tuple[str, ...]:
        """The names of the blocks that ``values`` are for."""
        return self.layout.architecture.blocks

    @property
    def present(self) -> tuple[bool, ...]:
        """For each block: whether the LoRA has any key for it."""
        return self.layout.present

    def __getitem__(self, block: str) -> float:
        return self.values[self.layout.architecture.block_index(block)]

    def items(self) -> Iterator[tuple[str, float]]:
        """(block name, rate) of the blocks that the LoRA has."""
        return ((name, rate) for name, rate, there in zip(self.blocks, self.values, self.present) if there)

    def to_string(self, format: str = "plain", digits: int = 3) -> str:
        """The rates as a consumer reads them; see :mod:`appl_search.weights.formats` for the names."""
        return registry.find_format(format).write(self, digits)

    def to_dict(self) -> dict:
        """JSON-ready and readable: absent blocks are left out, unknown errors too, and the architecture where it is SDXL."""
        architecture = self.layout.architecture
        return {
            "name": self.name,
            "sha256": self.layout.sha256,
            **({} if architecture == DEFAULT else {"architecture": architecture.name}),
            "groups": dict(self.layout.groups),
            "block_weights": dict(self.items()),
            "stderr": {
                name: error
                for name, error, there in zip(self.blocks, self.stderr, self.present)
                if there and not math.isnan(error)
            },
        }

    @classmethod
    def from_dict(cls, data: Mapping) -> BlockWeights:
        """The inverse of :meth:`to_dict`; ValueError names the field that is missing or wrong."""
        return cls.from_fields(Fields(data))

    @classmethod
    def from_fields(cls, fields: Fields) -> BlockWeights:
        """:meth:`from_dict` of a part of a larger text."""
        layout = layout_from_fields(fields)
        rates = _by_block(fields.object("block_weights"), layout, -math.inf)
        errors = _by_block(fields.object("stderr"), layout, 0.0) if fields.has("stderr") else {}
        blocks = range(len(layout.architecture.blocks))
        for block in blocks:
            if layout.present[block] and block not in rates:
                raise ValueError(f"{fields.place('block_weights')} has no rate for {layout.architecture.blocks[block]}, which the LoRA has.")
        return cls(
            layout,
            tuple(rates.get(block, 0.0) for block in blocks),
            tuple(errors.get(block, math.nan) for block in blocks),
        )


def layout_from_fields(fields: Fields) -> LoraLayout:
    """The layout that "name", "sha256", "groups" and, where it is not SDXL, "architecture" say. ValueError names the field."""
    architecture = named(fields.text("architecture", 40)) if fields.has("architecture") else DEFAULT
    groups = fields.object("groups")
    counts = {}
    for group, count in groups.items():
        if group not in (TEXT_ENCODERS, UNET_OTHER) and architecture.group_of_key(group) != group:
            raise ValueError(f"{groups.place(group)} is no part of {architecture.label}.")
        counts[group] = whole(count, groups.place(group), 0, MOST_KEYS)
    return LoraLayout(fields.text("name"), fields.text("sha256", 100), counts, architecture)


def _by_block(numbers: Fields, layout: LoraLayout, least: float) -> dict[int, float]:
    """Finite numbers by the index of the block that they are for."""
    found: dict[int, float] = {}
    for name, value in numbers.items():
        block = layout.architecture.block_index(name[:40])
        if block in found:
            raise ValueError(f"{numbers.place(name)} is there twice.")
        found[block] = finite(value, numbers.place(name), least)
    return found

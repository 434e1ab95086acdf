"""Rates with their blocks' names: JSON and a table."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable

from ...loras.layout import LoraLayout
from ..block_weights import BlockWeights
from .base import Format, shortened, title
from .decimals import DEFAULT_DIGITS, read_number, write_number

_COLUMNS = ("block", "present", "rate", "standard_error")
_Named = list[tuple[str, str]]


class Json(Format):
    """:meth:`BlockWeights.to_dict` with rounded rates; standard errors have three significant digits."""

    name = "json"
    label = "JSON"
    order = 100

    def write(self, weights: BlockWeights, digits: int = DEFAULT_DIGITS) -> str:
        data = weights.to_dict()
        data["block_weights"] = {block: float(write_number(rate, digits)) for block, rate in weights.items()}
        data["stderr"] = {block: float(_error(error)) for block, error in data["stderr"].items()}
        return json.dumps(data, indent=2, ensure_ascii=False)

    def parse(self, text: str, layout: LoraLayout) -> BlockWeights:
        try:
            # Numbers stay text: each has its own way to be too long for Python.
            data = json.loads(text, parse_int=str, parse_float=str, parse_constant=str, object_pairs_hook=_Object)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"{title(layout)}: {shortened(text)} is not JSON ({error}).") from error
        family = data.get("architecture", layout.architecture.name) if isinstance(data, _Object) else layout.architecture.name
        if family != layout.architecture.name:
            raise ValueError(f"{title(layout)}: the JSON is for {shortened(str(family))}, and this LoRA is for {layout.architecture.label}.")
        rates = data.get("block_weights") if isinstance(data, _Object) else None
        errors = data.get("stderr", _Object([])) if isinstance(data, _Object) else None
        if not isinstance(rates, _Object) or not isinstance(errors, _Object):
            raise ValueError(
                f'{title(layout)}: expected JSON like {{"block_weights": {{"BASE": 1, "IN04": 0.5}}}}, '
                f"got {shortened(text)}."
            )
        return _from_names(rates.as_text(), errors.as_text(), layout)

    def matches(self, text: str, layout: LoraLayout) -> bool:
        return text.lstrip().startswith("{")


class _Object:
    """An object of JSON with all that it says, a name twice too."""

    def __init__(self, pairs: list[tuple[str, object]]):
        self._pairs = pairs

    def get(self, name: str, default: object = None) -> object:
        return dict(self._pairs).get(name, default)

    def as_text(self) -> _Named:
        return [(name, type(value).__name__ if isinstance(value, (list, _Object)) else str(value)) for name, value in self._pairs]


class Csv(Format):
    """A table of all blocks with a header, for spreadsheets."""

    name = "csv"
    label = "Table (CSV)"
    order = 110

    def write(self, weights: BlockWeights, digits: int = DEFAULT_DIGITS) -> str:
        text = io.StringIO()
        table = csv.writer(text, lineterminator="\n")
        table.writerow(_COLUMNS)
        columns = (weights.blocks, weights.present, weights.values, weights.stderr)
        for block, there, rate, error in zip(*columns, strict=True):
            table.writerow((block, str(there).lower(), write_number(rate, digits), _error(error)))
        return text.getvalue()

    def parse(self, text: str, layout: LoraLayout) -> BlockWeights:
        lines = csv.reader(io.StringIO(text.strip(), newline=None))  # None: \r alone ends a line too
        try:
            header = next(lines, [])
            if not {"block", "rate"} <= set(header):
                raise ValueError(
                    f"{title(layout)}: expected a table whose first line is {','.join(_COLUMNS)!r} (the columns block and "
                    f"rate are needed), got {shortened(text)}."
                )
            rows = _rows(lines, header, layout)
        except csv.Error as error:
            raise ValueError(f"{title(layout)}: {shortened(text)} cannot be read as a table ({error}).") from error
        rates = [(row["block"], row.get("rate", "")) for row in rows]
        errors = [(row["block"], row["standard_error"]) for row in rows if row.get("standard_error")]
        return _from_names(rates, errors, layout)

    def matches(self, text: str, layout: LoraLayout) -> bool:
        return text.lstrip().startswith("block,")


def _rows(lines: Iterable[list[str]], header: list[str], layout: LoraLayout) -> list[dict[str, str]]:
    """Each line's fields by their columns, without empty lines.

    Raises ValueError for more fields than columns, for what looks like a decimal comma ("0,5" with a whole number as
    standard error: :func:`_error` writes none), and for more lines than there are blocks.
    """
    rows: list[dict[str, str]] = []
    for line in filter(None, lines):
        row = dict(zip(header, line))
        where = f"{title(layout)}, line {shortened(','.join(line))}"
        whole = row.get("rate", "").strip().lstrip("+-").isdigit() and row.get("standard_error", "").strip("0").isdigit()
        if len(line) > len(header) or whole:
            raise ValueError(f"{where} of the table: expected a decimal point and {len(header)} fields ({shortened(','.join(header))}).")
        rows.append({"block": "", **row})
        if len(rows) > len(layout.present):
            raise ValueError(f"{where}: the table has more lines than there are blocks, expected {len(layout.present)} at most.")
    return rows


def _error(error: float) -> str:
    """A standard error with three significant digits and never as a whole number, "" where there is none."""
    if math.isnan(error):
        return ""
    text = f"{error:.3g}"
    return f"{text}.0" if text.isdigit() else text


def _from_names(rates: _Named, errors: _Named, layout: LoraLayout) -> BlockWeights:
    values, stderr = _by_block(rates, layout), _by_block(errors, layout)
    missing = [name for i, name in enumerate(layout.architecture.blocks) if layout.present[i] and i not in values]
    if missing:
        raise ValueError(f"{title(layout)}: no rate for {', '.join(missing)}. Expected one for each block that it has.")
    blocks = range(len(layout.present))
    return BlockWeights(
        layout, tuple(values.get(block, 0.0) for block in blocks), tuple(stderr.get(block, math.nan) for block in blocks)
    )


def _by_block(named: _Named, layout: LoraLayout) -> dict[int, float]:
    architecture, numbers = layout.architecture, {}
    for word, text in named:
        block = architecture.block_index(word[:40])  # an error shows no more of it
        if block in numbers:
            raise ValueError(f"{title(layout)}: {architecture.blocks[block]} is there twice. Expected one rate for each block.")
        numbers[block] = read_number(text, f"{title(layout)}, {architecture.blocks[block]}")
    return numbers

"""Rates with their blocks' names: JSON and a table."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Mapping

from ...architectures.blocks import BLOCK_NAMES, block_index
from ...loras.layout import LoraLayout
from ..block_weights import BlockWeights
from .base import Format, shortened, title
from .decimals import DEFAULT_DIGITS, read_number, write_number

_COLUMNS = ("block", "present", "rate", "standard_error")


class Json(Format):
    """:meth:`BlockWeights.to_dict` with rounded rates; standard errors have three significant digits."""

    name = "json"
    label = "JSON"

    def write(self, weights: BlockWeights, digits: int = DEFAULT_DIGITS) -> str:
        data = weights.to_dict()
        data["block_weights"] = {block: float(write_number(rate, digits)) for block, rate in weights.items()}
        data["stderr"] = {block: float(_error(error)) for block, error in data["stderr"].items()}
        return json.dumps(data, indent=2, ensure_ascii=False)

    def parse(self, text: str, layout: LoraLayout) -> BlockWeights:
        try:
            data = json.loads(text)
        except json.JSONDecodeError as error:
            raise ValueError(f"{title(layout)}: {shortened(text)} is not JSON ({error}).") from error
        rates = data.get("block_weights") if isinstance(data, dict) else None
        if not isinstance(rates, dict) or not isinstance(data.get("stderr", {}), dict):
            raise ValueError(
                f'{title(layout)}: expected JSON like {{"block_weights": {{"BASE": 1, "IN04": 0.5}}}}, '
                f"got {shortened(text)}."
            )
        return _from_names(_as_text(rates), _as_text(data.get("stderr", {})), layout)


class Csv(Format):
    """A table of the 20 blocks with a header, for spreadsheets."""

    name = "csv"
    label = "Table (CSV)"

    def write(self, weights: BlockWeights, digits: int = DEFAULT_DIGITS) -> str:
        text = io.StringIO()
        table = csv.writer(text, lineterminator="\n")
        table.writerow(_COLUMNS)
        columns = (BLOCK_NAMES, weights.present, weights.values, weights.stderr)
        for block, there, rate, error in zip(*columns, strict=True):
            known = "" if math.isnan(error) else _error(error)
            table.writerow((block, str(there).lower(), write_number(rate, digits), known))
        return text.getvalue()

    def parse(self, text: str, layout: LoraLayout) -> BlockWeights:
        rows = list(csv.DictReader(io.StringIO(text.strip())))
        if not rows or not {"block", "rate"} <= rows[0].keys():
            raise ValueError(
                f"{title(layout)}: expected a table whose first line is {','.join(_COLUMNS)!r} (the columns block and "
                f"rate are needed), got {shortened(text)}."
            )
        rates = {row["block"] or "": row["rate"] or "" for row in rows}
        errors = {row["block"] or "": error for row in rows if (error := row.get("standard_error"))}
        return _from_names(rates, errors, layout)


def _error(error: float) -> str:
    return f"{error:.3g}"


def _as_text(rates: Mapping[str, object]) -> dict[str, str]:
    return {block: str(rate) for block, rate in rates.items()}


def _from_names(rates: Mapping[str, str], errors: Mapping[str, str], layout: LoraLayout) -> BlockWeights:
    values, stderr = dict.fromkeys(BLOCK_NAMES, 0.0), dict.fromkeys(BLOCK_NAMES, math.nan)
    for numbers, given in ((values, rates), (stderr, errors)):
        for block, text in given.items():
            name = BLOCK_NAMES[block_index(block)]
            numbers[name] = read_number(text, f"{title(layout)}, {name}")
    named = {block_index(block) for block in rates}
    missing = [name for i, name in enumerate(BLOCK_NAMES) if layout.present[i] and i not in named]
    if missing:
        raise ValueError(f"{title(layout)}: no rate for {', '.join(missing)}. Expected one for each block that it has.")
    return BlockWeights(layout, tuple(values.values()), tuple(stderr.values()))

"""A running search on the console."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Iterator, Sequence

from tqdm import tqdm

from ..loras.layout import LoraLayout
from ..searching.events import Event
from ..searching.result import SearchResult
from .tables import comparison_table, table

SECONDS_BETWEEN_TABLES = 30.0
_CELL = 7  # characters of a rate


class ConsoleProgress:
    """Listens to a search, inside a ``with`` block; ``last``: its latest event, None before the first.

    ``start``: the samples that a resumed search goes on from.
    """

    def __init__(self, total: int, description: str = "Block weights", start: int = 0):
        self.last: Event | None = None
        self._bar = tqdm(total=total, desc=description, unit="sample", initial=start)

    def __enter__(self) -> ConsoleProgress:
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()

    def __call__(self, event: Event) -> None:
        self.last = event
        self._bar.set_postfix(loss=f"{event.loss:.4f}", refresh=False)
        self._bar.update(event.samples - self._bar.n)


class SearchConsole(ConsoleProgress):
    """The bar, and above it all rates now and then. ``layouts``: of the LoRAs."""

    def __init__(self, total: int, layouts: Sequence[LoraLayout], start: int = 0):
        super().__init__(total, start=start)
        self._layouts, self._shown_at = layouts, time.monotonic()

    def __call__(self, event: Event) -> None:
        super().__call__(event)
        if time.monotonic() - self._shown_at >= SECONDS_BETWEEN_TABLES:
            self._shown_at = time.monotonic()
            rates = event.block_weights.tolist()
            self._bar.write("\n".join(side_by_side(self._layouts, rates, shutil.get_terminal_size().columns)))

    @staticmethod
    def measuring() -> None:
        """Says that the steps are done and the search is not: what was found is compared, which can take a while."""
        tqdm.write("Measuring what was found.", file=sys.stderr)

    @staticmethod
    def show_result(result: SearchResult) -> None:
        """How the search went, and the rates of each of its LoRAs."""
        settings = result.settings
        print(f"\n{settings.method}: {result.samples} samples in {len(result.history.loss)} steps and {result.seconds:.0f} s")
        for weights, rules in zip(result.block_weights, result.rules):
            print(f"\n{weights.name}:", *table(weights, rules), sep="\n")
        if result.verdict is not None:
            print(f"\n{result.verdict.text}", *comparison_table(result.comparison), sep="\n")
        if result.findings:
            print("", *(finding.text for finding in result.findings), sep="\n")
        for note in result.notes:
            print(f"\n{note}")


def side_by_side(layouts: Sequence[LoraLayout], rates: Sequence[Sequence[float]], columns: int) -> Iterator[str]:
    """Lines with a column for each block that any of the LoRAs has, and a row for each LoRA, as wide as ``columns``."""
    blocks = layouts[0].architecture.blocks
    there = [position for position in range(len(blocks)) if any(layout.present[position] for layout in layouts)]
    widest = min(max(len(layout.name) for layout in layouts), 24)
    at_once = max(1, (columns - widest - 1) // _CELL)
    for start in range(0, len(there), at_once):
        part = there[start : start + at_once]
        yield " " * widest + "".join(f"{blocks[position]:>{_CELL}}" for position in part)
        for layout, row in zip(layouts, rates):
            cells = (f"{row[position]:.3f}" if layout.present[position] else "-" for position in part)
            yield f"{layout.name[:widest]:{widest}}" + "".join(f"{cell:>{_CELL}}" for cell in cells)

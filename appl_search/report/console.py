"""A running search on the console's progress bar."""

from __future__ import annotations

from tqdm import tqdm

from ..searching.events import Event


class ConsoleProgress:
    """Listens to a search, inside a ``with`` block; ``last``: its latest event, None before the first."""

    def __init__(self, total: int, description: str = "Block weights"):
        self.last: Event | None = None
        self._bar = tqdm(total=total, desc=description, unit="sample")

    def __enter__(self) -> ConsoleProgress:
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()

    def __call__(self, event: Event) -> None:
        self.last = event
        self._bar.set_postfix(loss=f"{event.loss:.4f}", refresh=False)
        self._bar.update(event.samples - self._bar.n)

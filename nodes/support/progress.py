"""Shows how far a search is on the node's progress bar and in the console."""

from __future__ import annotations

from ...appl_search import SearchResult
from ...appl_search.host.progress import node_progress_bar
from ...appl_search.report.console import ConsoleProgress
from ...appl_search.searching.events import Event


class Progress(ConsoleProgress):
    """Listens to a search, inside a ``with`` block; ``last``: its latest event, None before the first."""

    def __init__(self, total: int, node_id: str | None):
        super().__init__(total)
        self._node_bar = node_progress_bar(total, node_id)

    def __call__(self, event: Event) -> None:
        super().__call__(event)
        self._node_bar.update_absolute(event.samples, event.total_samples)

    def result(self) -> SearchResult | None:
        """What was found so far, None before the first step."""
        return self.last.result() if self.last is not None else None

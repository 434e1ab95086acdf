"""A running search on the node's and on the console's progress bar."""

from __future__ import annotations

import inspect

import comfy.utils

from ..appl_search import SearchResult
from ..appl_search.console import ConsoleProgress
from ..appl_search.loop import Event

# ComfyUI's ProgressBar takes the node's id since July 2025; before, the bar is of whatever node runs.
_TAKES_NODE_ID = "node_id" in inspect.signature(comfy.utils.ProgressBar).parameters


class Progress(ConsoleProgress):
    """Listens to a search, inside a ``with`` block; ``last``: its latest event, None before the first."""

    def __init__(self, total: int, node_id: str | None):
        super().__init__(total)
        self._node_bar = comfy.utils.ProgressBar(total, **({"node_id": node_id} if _TAKES_NODE_ID else {}))

    def __call__(self, event: Event) -> None:
        super().__call__(event)
        self._node_bar.update_absolute(event.samples, event.total_samples)

    def result(self) -> SearchResult | None:
        """What was found so far, None before the first step."""
        return self.last.result() if self.last is not None else None

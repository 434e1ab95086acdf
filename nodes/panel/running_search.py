"""What a running search tells the panel on the page, and what the panel may ask of it.

Messages of the type EVENT go to the page that queued the search: {"kind": "start"} with the LoRAs, "step" with what is
new since the last one, "previews" with the sheet of preview pictures, "end" for a search that was cut off. The
result of a finished search is in the node's `ui`, which ComfyUI sends itself.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

from ...appl_search import LoraSource, SearchSettings
from ...appl_search.loras.layout import read_layout
from ...appl_search.loras.rules import BlockRules
from ...appl_search.report.curves import running_mean
from ...appl_search.searching.events import Event
from ..support.common import Json
from . import state as panel_state

EVENT = "appl_search.progress"
SECONDS_BETWEEN = 1 / 6

_running: dict[str, RunningSearch] = {}


def server() -> Any:
    """ComfyUI's server, which it has imported before any node; None in a program or a test that has none."""
    return getattr(getattr(sys.modules.get("server"), "PromptServer", None), "instance", None)


def workflow_id(extra_pnginfo: Mapping[str, Any] | None) -> str | None:
    """The id that the page gave the workflow: several workflows may have a node of the same id."""
    workflow = (extra_pnginfo or {}).get("workflow")
    return workflow.get("id") if isinstance(workflow, Mapping) else None


class RunningSearch:
    """Inside a ``with`` block, tells the page how a search goes, and finishes the search when the page asks for it."""

    def __init__(self, node_id: str | None, workflow: str | None, sources: Sequence[LoraSource], settings: SearchSettings):
        self._node = node_id
        self._server = server()
        self._finish = threading.Event()
        self._sent_at = 0.0
        self._sent_steps = 0
        self._loss: list[float] = []
        self._head: Json = {"node": node_id, "workflow": workflow, "prompt": getattr(self._server, "last_prompt_id", None)}
        layouts = [read_layout(source) for source in sources]
        self._start: Json = {
            "loras": [
                panel_state.lora(layout, BlockRules.of(source, layout.architecture)) for source, layout in zip(sources, layouts)
            ],
            "rates": [
                [source.fixed.get(block, source.start.get(block, settings.init)) for block in layout.architecture.blocks]
                for source, layout in zip(sources, layouts)
            ],
            "method": settings.method,
            "penalty": settings.penalty,
            "steps": settings.steps,
            "total": settings.samples,
            **panel_state.blocks(layouts[0].architecture),
            **panel_state.formats(),
        }
        self._last: Event | None = None
        self._previews: Json = {}

    def __enter__(self) -> RunningSearch:
        if self._node is not None:
            _running[self._node] = self
        self._send("start", self._start)
        return self

    def __exit__(self, *_: object) -> None:
        if self._node is not None:
            _running.pop(self._node, None)

    def __call__(self, event: Event) -> bool:
        """Takes note of a step. Returns whether the search is to finish with what it has."""
        self._loss.append(event.loss)
        self._last = event
        now = time.monotonic()
        if now - self._sent_at >= SECONDS_BETWEEN:
            self._send("step", _step(event, self._loss, self._sent_steps))
            self._sent_at, self._sent_steps = now, len(self._loss)
        return self._finish.is_set()

    def goes_on_from(self, losses: Sequence[float]) -> None:
        """The search was taken up again after steps with these losses."""
        self._loss = list(losses)

    def show_previews(self, sheet: Json) -> None:
        """Tells the page of a new preview picture. ``sheet``: of :func:`nodes.panel.preview_sheet.sheet_at`."""
        self._previews = {"previews": sheet}
        self._send("previews", self._previews)

    def finish(self) -> None:
        """The search ends after its next step, with what it has."""
        self._finish.set()

    def cut_off(self, state: Json | None) -> None:
        """Tells the page that an error or Cancel ended the search. ``state``: what the panel shows of it."""
        self._send("end", {"state": state})

    def snapshot(self) -> Json:
        """All messages so far in a single one, for a page that was loaded again."""
        steps = _step(self._last, self._loss, 0) if self._last is not None else {}
        return {**self._head, "kind": "start", **self._start, **steps, **self._previews}

    def _send(self, kind: str, data: Json) -> None:
        client = getattr(self._server, "client_id", None)
        if client is not None:
            self._server.send_sync(EVENT, {**self._head, "kind": kind, **data}, client)


def _step(event: Event, loss: Sequence[float], known: int) -> Json:
    """A step as the page gets it. ``loss``: of each step so far, of which the page knows the first ``known``.

    Rates and standard errors are those of the best block weights so far: what "Finish now" would give. The next batch
    is evaluated elsewhere, on the way to them.
    """
    result = event.result()
    return {
        "step": event.step,
        "samples": event.samples,
        "seconds": round(event.seconds, 2),
        "rates": [panel_state.rates(weights.values) for weights in result.block_weights],
        "errors": [panel_state.errors(weights) for weights in result.block_weights],
        "loss": [panel_state.significant(value) for value in loss[known:]],
        "mean": [panel_state.significant(value) for value in running_mean(loss)[known:]],
        "single": panel_state.single(result),
    }


def finish(node_id: str) -> bool:
    """Asks the search of a node to finish with what it has. Returns whether that node has a running search."""
    search = _running.get(node_id)
    if search is not None:
        search.finish()
    return search is not None


def snapshots() -> list[Json]:
    """The snapshot of every running search."""
    return [search.snapshot() for search in list(_running.values())]

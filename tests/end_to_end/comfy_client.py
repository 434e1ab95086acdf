"""Talks to a ComfyUI server as its page does: HTTP for requests, a websocket for what happens."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import websocket

from tests.end_to_end.comfy_server import ComfyServer

FAILURES = ("execution_error", "execution_interrupted")


class PromptRejected(Exception):
    """The server refused a prompt; ``answer`` is what it said."""

    def __init__(self, answer: Any) -> None:
        super().__init__(f"The server refused the prompt: {json.dumps(answer, indent=1)}")
        self.answer = answer


@dataclass(frozen=True)
class Event:
    """One message of the websocket."""

    type: str
    data: dict[str, Any]


class RunFailed(Exception):
    """A run ended in an error or an interruption, which ``event`` tells of."""

    def __init__(self, event: Event) -> None:
        data = event.data
        trace = "".join(data.get("traceback", []))
        super().__init__(f"{event.type} in {data.get('node_type')}: {data.get('exception_message')}\n{trace}")
        self.event = event


@dataclass
class Run:
    """One queued prompt and what was heard of it so far."""

    client: ComfyClient
    prompt_id: str
    events: list[Event] = field(default_factory=list)

    @property
    def finished(self) -> bool:
        """Whether the server is done with it, well or not."""
        return any(event.type == "executing" and event.data.get("node") is None for event in self.events)

    def of_type(self, *types: str) -> list[Event]:
        return [event for event in self.events if event.type in types]

    @property
    def failure(self) -> Event | None:
        """The error or the interruption that ended it, if one did."""
        return next(iter(self.of_type(*FAILURES)), None)

    @property
    def outputs(self) -> dict[str, dict[str, Any]]:
        """The `ui` dict of every node that had one, by node id."""
        return {event.data["node"]: event.data["output"] for event in self.of_type("executed")}

    def wait_for(self, wanted: Callable[[Event], bool], timeout: float) -> Event:
        """The first event that is wanted, heard already or yet to come."""
        return self.client.wait_for(self, wanted, timeout)

    def wait(self, timeout: float) -> Run:
        """Waits until the server is done with it, well or not."""
        if not self.finished:
            self.wait_for(lambda event: event.type == "executing" and event.data.get("node") is None, timeout)
        return self

    def succeed(self, timeout: float) -> Run:
        """Waits, and raises RunFailed with the node's message when it failed."""
        self.wait(timeout)
        if self.failure is not None:
            raise RunFailed(self.failure)
        return self


class ComfyClient:
    """One websocket to one server. A context manager. One run is listened to at a time."""

    def __init__(self, server: ComfyServer) -> None:
        self.server = server
        self.id = uuid.uuid4().hex
        self._socket = websocket.create_connection(
            f"ws://{server.address}/ws?clientId={self.id}", timeout=30, http_no_proxy=["127.0.0.1"]
        )

    def __enter__(self) -> ComfyClient:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def object_info(self) -> dict[str, Any]:
        """The definitions of all nodes, by class name."""
        return self.server.get_json("/object_info")

    def queue(self, prompt: dict[str, Any]) -> Run:
        """Queues a graph in its API form. Raises PromptRejected when the server finds it invalid."""
        status, answer = self.server.post_json("/prompt", {"prompt": prompt, "client_id": self.id})
        if status != 200:
            raise PromptRejected(answer)
        return Run(self, answer["prompt_id"])

    def history(self, run: Run) -> dict[str, Any]:
        """What the server keeps of a finished run: its `outputs` by node id, its `status`."""
        return self.server.get_json(f"/history/{run.prompt_id}")[run.prompt_id]

    def interrupt(self) -> None:
        self.server.post_json("/interrupt", {})

    def free(self) -> None:
        """Makes the server forget cached results and loaded models before the next run."""
        self.server.post_json("/free", {"unload_models": True, "free_memory": True})

    def wait_for(self, run: Run, wanted: Callable[[Event], bool], timeout: float) -> Event:
        """Listens until an event of the run is wanted.

        Raises RunFailed when the run fails first, TimeoutError, and ComfyFailed when the server died.
        """
        for event in run.events:
            if wanted(event):
                return event
        deadline = time.monotonic() + timeout
        while (left := deadline - time.monotonic()) > 0:
            event = self._next_event(left)
            if event is None or event.data.get("prompt_id", run.prompt_id) != run.prompt_id:
                self.server.check_alive()
                continue
            run.events.append(event)
            if wanted(event):
                return event
            if run.finished and run.failure is not None:
                raise RunFailed(run.failure)
        heard = ", ".join(event.type for event in run.events[-20:]) or "nothing"
        raise TimeoutError(
            f"Not heard within {timeout:g} s. Heard last: {heard}. The log ends with:\n{self.server.log_tail()}"
        )

    def _next_event(self, timeout: float) -> Event | None:
        """The next message, or None when none came in a second; pictures come as an event `preview`."""
        self._socket.settimeout(min(timeout, 1.0))
        try:
            message = self._socket.recv()
        except websocket.WebSocketTimeoutException:
            return None
        if isinstance(message, bytes):
            return Event("preview", {"bytes": len(message)})
        content = json.loads(message)
        return Event(content["type"], content.get("data") or {})

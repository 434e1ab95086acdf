"""The state of a search in a file, from which another process goes on with the same search, and with no other."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from ..digests import digest_of
from ..gradients.task import Task

SCHEMA = "appl-search-state/1"
_KEY = "appl_search"  # of the safetensors metadata


class StateError(ValueError):
    """A saved state that a search cannot go on from; the message says why."""


class StateFile:
    """Where the state of a run is kept. ``task``: what :func:`describe` says of its task.

    Tensors are those of a safetensors file; numbers, and what task it is, are JSON in the file's metadata.
    """

    def __init__(self, path: Path, task: Mapping[str, Any]):
        self.path, self._task = path, task

    def save(self, state: Mapping[str, Any]) -> None:
        """Writes a state (:meth:`Run.state_dict`), whole or not at all. Raises OSError when it cannot be written."""
        numbers: dict[str, Any] = {}
        tensors: dict[str, Tensor] = {}
        for name, value in _flat(state):
            if isinstance(value, Tensor):
                tensors[name] = value.detach().cpu().contiguous().clone()
            else:
                numbers[name] = value
        metadata = json.dumps({"schema": SCHEMA, "task": self._task, "numbers": numbers})
        _write(self.path, save(tensors, {_KEY: metadata}))

    def load(self) -> dict[str, Any]:
        """The state that was saved. Raises :class:`StateError` when there is none, and for one of another task."""
        try:
            with safe_open(str(self.path), framework="pt", device="cpu") as file:
                metadata = json.loads((file.metadata() or {}).get(_KEY, "null"))
                tensors = {name: file.get_tensor(name).clone() for name in file.keys()}
        except (OSError, SafetensorError, json.JSONDecodeError) as error:
            raise StateError(f"The state {self.path} cannot be read ({error}). Search anew, without it.") from error
        if not isinstance(metadata, dict) or metadata.get("schema") != SCHEMA:
            raise StateError(f"{self.path} is not the state of a search by this version of the pack. Search anew, without it.")
        if differences := _differences(metadata["task"], self._task):
            raise StateError(
                f"The state {self.path} is of another search: {', '.join(differences)[:300]}. Search with what it was saved "
                "with, or anew."
            )
        return _nested({**metadata["numbers"], **tensors})


def describe(task: Task) -> dict[str, Any]:
    """All that a search depends on, but for the models, as JSON: settings, LoRAs by their hashes, a hash of the images.

    Reads every image that is in memory: once for each search is enough.
    """
    return {
        "settings": task.settings.to_dict(),
        "loras": [
            {
                "name": source.name,
                "sha256": source.contents.sha256,
                "fixed": dict(source.fixed),
                "tie": source.tie,
                "start": dict(source.start),
            }
            for source in task.loras
        ],
        "images": digest_of(task.images.items),
        "recorded": task.draws is not None,
    }


def _differences(saved: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    """What is not the same, in words."""
    found = []
    for name in sorted({*saved["settings"], *wanted["settings"]}):
        before, now = (of.get(name) for of in (saved["settings"], wanted["settings"]))
        if before != now:
            found.append(f"its {name} was {before!r}, not {now!r}")
    if _unnamed(saved["loras"]) != _unnamed(wanted["loras"]):
        names = " and ".join(lora["name"] for lora in saved["loras"])
        found.append(f"its LoRAs were {names}, with other files, fixed rates, ties or starts")
    for name, what in (("images", "training images"), ("recorded", "recorded draws")):
        if saved[name] != wanted[name]:
            found.append(f"it had other {what}")
    return found


def _unnamed(loras: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """A file may have another name than before."""
    return [{key: value for key, value in lora.items() if key != "name"} for lora in loras]


def _flat(state: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in state.items():
        if isinstance(value, Mapping):
            yield f"{before}{name}", {}  # an empty one has no other trace
            yield from _flat(value, f"{before}{name}.")
        else:
            yield f"{before}{name}", value


def _nested(flat: Mapping[str, Any]) -> dict[str, Any]:
    state: dict[str, Any] = {}
    for path, value in flat.items():
        *folders, name = path.split(".")
        place = state
        for folder in folders:
            place = place[folder]
        place[name] = value
    return state


def _write(path: Path, content: bytes) -> None:
    """By way of a temporary file beside it, so that a reader never sees half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f"{path.name}.", suffix=".tmp")
    try:
        with open(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with suppress(OSError):
            os.remove(temporary)
        raise

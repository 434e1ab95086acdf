"""Keeps a search safe from whatever ends it: its state is in a file, and the same search goes on from there."""

from __future__ import annotations

import hashlib
import json
import logging
import time
from contextlib import AbstractContextManager, suppress
from pathlib import Path

from .events import SearchDiverged
from .run import Run
from .state import StateError, StateFile, describe

log = logging.getLogger("appl_search")

SECONDS_BETWEEN = 30.0
#: States of other searches that are left in the folder.
KEPT = 20


class Safekeeping(AbstractContextManager):
    """Inside ``with``, the run goes on from the state in ``folder``, if there is one of the same task and models.

    Call :meth:`after_step` after each step: it saves the state every 30 seconds. An error saves it too, but for a loss
    that is not finite, which would come again. :meth:`forget` takes the file away: when the result is safe. A state that
    cannot be written ends no search. Of several processes all go on from it, and the main one writes. ``resumed_at``: how many samples the run went on from, 0 for none.
    """

    def __init__(self, folder: Path, run: Run, seconds: float = SECONDS_BETWEEN):
        self._run, self._seconds, self._can_write = run, seconds, True
        task = describe(run.task)
        name = hashlib.sha256(json.dumps(task, sort_keys=True).encode()).hexdigest()[:24]
        self._file = StateFile(folder / f"{name}.safetensors", task)
        self._saved_at, self._saved_samples = time.monotonic(), 0
        self.resumed_at = 0

    def __enter__(self) -> Safekeeping:
        self._run.signature()  # now: after an error the models may give no prediction any more
        if self._file.path.exists():
            self._resume()
        self._saved_at = time.monotonic()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None and issubclass(kind, SearchDiverged):
            self.forget()
        elif kind is not None and self._run.is_between_steps:
            self._save()

    @property
    def path(self) -> Path:
        """Where the state is."""
        return self._file.path

    def go_on_from(self, path: Path) -> None:
        """Goes on from another file's state. Raises StateError when it is not of the same task and models."""
        self._run.load_state_dict(StateFile(path, describe(self._run.task)).load())
        self.resumed_at = self._run.samples

    def after_step(self) -> None:
        """Saves the state when it is time to."""
        if time.monotonic() - self._saved_at >= self._seconds:
            self._save()

    def forget(self) -> None:
        """Removes the state: the search has ended well."""
        if not self._run.team.is_main:
            return
        with suppress(OSError):
            self._file.path.unlink(missing_ok=True)

    def _resume(self) -> None:
        try:
            self._run.load_state_dict(self._file.load())
        except StateError as error:
            log.warning("An unfinished search cannot go on, so it starts anew. %s", error)
            return
        self.resumed_at = self._saved_samples = self._run.samples
        log.info("Going on with an unfinished search of %d samples (%s).", self.resumed_at, self._file.path)

    def _save(self) -> None:
        """The state, unless it is in the file already."""
        if self._run.samples == self._saved_samples or not self._run.team.is_main:
            return
        try:
            self._file.save(self._run.state_dict())
            self._saved_samples = self._run.samples
            _prune(self._file.path)
        except OSError as error:
            if self._can_write:
                log.warning("The state of the search cannot be saved (%s): it goes on without.", error)
            self._can_write = False
        self._saved_at = time.monotonic()


def _prune(path: Path) -> None:
    """Removes the oldest of many states beside this one."""
    with suppress(OSError):
        others = sorted(path.parent.glob(f"*{path.suffix}"), key=lambda other: other.stat().st_mtime, reverse=True)
        for old in others[KEPT:]:
            old.unlink(missing_ok=True)

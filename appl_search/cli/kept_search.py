"""A search whose state is safe at any time, that is watched, and that Ctrl-C ends well."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from ..gradients.task import Task
from ..host import pictures
from ..loras.layout import LoraLayout, read_layout
from ..report.console import SearchConsole
from ..searching.events import SearchDiverged
from ..searching.previews import Preview
from ..searching.result import SearchResult
from ..searching.run import Run, open_search
from ..searching.safekeeping import Safekeeping
from ..searching.team import Team
from .logs import Logs
from .outputs import UNFINISHED, Outputs, as_picture


def search(task: Task, team: Team, outputs: Outputs, options: argparse.Namespace) -> tuple[SearchResult, dict]:
    """(what was found, the first and last preview pictures by caption); the state is safe at any time."""
    shown: dict[str, list] = {}

    def on_preview(preview: Preview) -> None:
        pixels = pictures.decode(task.models.vae, preview.latent)
        outputs.save_preview(preview.samples, preview.number, pixels)
        if preview.is_last or not preview.samples:
            shown.setdefault("found" if preview.is_last else "at the start", []).append(as_picture(pixels))

    layouts = [read_layout(source) for source in task.loras]
    last = None
    with open_search(task, team, on_preview) as run, Safekeeping(outputs.folder / UNFINISHED, run) as state:
        if options.resume is not None:
            state.go_on_from(options.resume)
        try:
            with _interruptible(team) as interrupted, _watching(run, outputs, layouts, options) as watchers:
                for last in run:
                    state.after_step()
                    for watcher in watchers:
                        watcher(last)
                    if team.agree(finish=bool(interrupted)):
                        raise KeyboardInterrupt
                if team.is_main:
                    SearchConsole.measuring()
                result = run.finish()
        except KeyboardInterrupt as error:
            if last is not None and team.is_main:
                outputs.save_partial(last.result())
            raise KeyboardInterrupt(_how_to_go_on(state, last is not None or state.resumed_at > 0)) from error
        except SearchDiverged as error:
            if team.is_main:
                path = outputs.save_partial(error.result)
                raise SearchDiverged(f"{error} They are in {path}.", error.result) from error
            raise
    state.forget()
    return result, shown


def _how_to_go_on(state: Safekeeping, has_state: bool) -> str:
    if not has_state:
        return "Interrupted before the first step."
    return f"Interrupted. To go on, give the same command again; its state is in {state.path}."


@contextmanager
def _watching(run: Run, outputs: Outputs, layouts: Sequence[LoraLayout], options: argparse.Namespace) -> Iterator[list]:
    """What is told of each step; only the main one of several processes tells anybody."""
    if not run.team.is_main:
        yield []
        return
    total = run.task.settings.samples
    if run.samples:
        print(f"note: the search goes on from {run.samples} of {total} samples.", file=sys.stderr)
    start = outputs.folder / outputs.name
    with Logs(start, layouts, options.log_with, len(run.losses)) as logs, SearchConsole(total, layouts, run.samples) as console:
        yield [logs, console]


@contextmanager
def _interruptible(team: Team) -> Iterator[list]:
    """A list that is filled when the user presses Ctrl-C, so that a step can end; the second time is as ever."""
    interrupted: list[int] = []

    def note(number: int, frame: object) -> None:
        interrupted.append(number)
        if team.is_main:
            print("\nEnding after this step. Ctrl-C again ends at once.", file=sys.stderr)
        signal.signal(signal.SIGINT, before)

    before = signal.getsignal(signal.SIGINT)
    signal.signal(signal.SIGINT, note)
    try:
        yield interrupted
    finally:
        signal.signal(signal.SIGINT, before)

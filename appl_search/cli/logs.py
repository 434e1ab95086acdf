"""What happened at each step, for other programs: JSON lines and CSV, and TensorBoard and W&B when they are asked for."""

from __future__ import annotations

import csv
import importlib
import json
import os
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any

from ..loras.layout import LoraLayout
from ..searching.events import Event

TRACKERS = ("tensorboard", "wandb")
ALL = "all"
_FIRST = ("step", "samples", "loss", "penalty", "seconds")


class Logs(AbstractContextManager):
    """Takes note of each step, inside ``with``. Files are those of the search's name, with .jsonl and .csv.

    ``after``: the step that a resumed search goes on from; what the files have of later ones is dropped.
    ``trackers``: of TRACKERS; see :func:`chosen_trackers`.
    """

    def __init__(self, start: Path, layouts: Sequence[LoraLayout], trackers: Sequence[str] = (), after: int = 0):
        self._start, self._layouts, self._after = start, layouts, after
        self._trackers, self._closing = trackers, ExitStack()
        self._listeners: list[Callable[[dict[str, Any]], object]] = []

    def __enter__(self) -> Logs:
        starts = {"tensorboard": self._tensorboard, "wandb": self._wandb}
        with self._closing:  # of what is open when a tracker cannot start
            lines = self._open(".jsonl", 0)
            trackers = [starts[name]() for name in self._trackers]
            self._listeners = [lambda row: _flush(lines, json.dumps(row) + "\n"), self._csv(), *trackers]
            self._closing = self._closing.pop_all()
        return self

    def __exit__(self, *error: Any) -> None:
        self._closing.__exit__(*error)

    def __call__(self, event: Event) -> None:
        rates = {
            layout.name: dict(zip(layout.architecture.blocks, row))
            for layout, row in zip(self._layouts, event.block_weights.tolist())
        }
        there = {
            f"{layout.name}/{block}": rates[layout.name][block]
            for layout in self._layouts
            for block, present in zip(layout.architecture.blocks, layout.present)
            if present
        }
        for listener in self._listeners:
            listener({**{name: getattr(event, name) for name in _FIRST}, **there})

    def _open(self, suffix: str, header_lines: int):
        path = self._start.with_name(f"{self._start.name}{suffix}")
        before = path.read_text(encoding="utf-8").splitlines(keepends=True) if self._after and path.exists() else []
        file = self._closing.enter_context(open(path, "w", encoding="utf-8", newline=""))
        file.writelines(before[: header_lines + self._after])
        return file

    def _csv(self) -> Callable[[dict[str, Any]], object]:
        file = self._open(".csv", 1)
        writer = csv.writer(file)

        def write(row: dict[str, Any]) -> None:
            if not file.tell():
                writer.writerow(row)
            writer.writerow(row.values())
            file.flush()

        return write

    def _tensorboard(self) -> Callable[[dict[str, Any]], object]:
        writer = importlib.import_module("torch.utils.tensorboard").SummaryWriter(str(self._start), purge_step=self._after + 1)
        self._closing.callback(writer.close)

        def write(row: dict[str, Any]) -> None:
            for key, value in row.items():
                writer.add_scalar(key, value, row["step"])

        return write

    def _wandb(self) -> Callable[[dict[str, Any]], object]:
        """A run of the search's name, or one that WANDB_NAME gives. A resumed search goes on with its run, whose id a file keeps."""
        wandb = importlib.import_module("wandb")
        kept = self._start.with_name(f"{self._start.name}.wandb_id")
        known = kept.read_text(encoding="utf-8") if self._after and kept.exists() else None
        name = os.environ.get("WANDB_NAME") or self._start.name
        try:
            run = wandb.init(dir=str(self._start.parent), name=name, id=known, resume="allow" if known else None)
        except wandb.Error as error:
            said = str(error).rstrip(".")
            raise ValueError(f"--log-with wandb: W&B cannot start a run: {said}. WANDB_MODE=offline keeps it on this machine.") from error
        kept.write_text(run.id, encoding="utf-8")
        self._closing.push(lambda kind, *_: run.finish(exit_code=int(kind is not None)))
        return lambda row: run.log(row, step=row["step"])


def chosen_trackers(names: Sequence[str]) -> tuple[str, ...]:
    """Of TRACKERS, each once; "all" is all of them. Raises ValueError for one that this Python does not have."""
    chosen = tuple(name for name in TRACKERS if name in names or ALL in names)
    for name in chosen:
        try:
            importlib.import_module(name)
        except ModuleNotFoundError as error:
            raise ValueError(f"--log-with {name} needs the package {error.name}: pip install {error.name}.") from error
    return chosen


def _flush(file: Any, text: str) -> None:
    file.write(text)
    file.flush()

"""Runs the search command on the demo's files."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

from appl_search.cli.main import main
from appl_search.demo import ASSETS, lora_paths
from appl_search.searching.run import Run

IMAGES = ASSETS / "images" / "styled_train"
LORAS = lora_paths()
#: A search of two steps.
SHORT = ["--samples", 4, "--batch-size", 2, "--comparison", 0, "--no-check-gradient"]


def search(output: Path, *arguments, lora="style", short=SHORT) -> int:
    """The exit status."""
    given = ["--model", "demo", "--lora", LORAS[lora], "--images", IMAGES, "--output", output, *short, *arguments]
    return main(["search", *map(str, given)])


def at_step(monkeypatch, step: int, do: Callable[[], object]) -> None:
    """Does something at the end of a search's step, before anybody is told of it."""
    event, taken = Run._event, []

    def told(self, *numbers):
        taken.append(numbers)
        if len(taken) == step:
            do()
        return event(self, *numbers)

    monkeypatch.setattr(Run, "_event", told)


def ctrl_c() -> None:
    """As the system sends it."""
    os.kill(os.getpid(), signal.SIGINT)

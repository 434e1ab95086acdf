"""Runs the search command on the demo's files."""

from __future__ import annotations

from pathlib import Path

from appl_search.cli.main import main
from appl_search.demo import ASSETS, lora_paths

IMAGES = ASSETS / "images" / "styled_train"
LORAS = lora_paths()
#: A search of two steps.
SHORT = ["--samples", 4, "--batch-size", 2, "--comparison", 0, "--no-check-gradient"]


def search(output: Path, *arguments, lora="style", short=SHORT) -> int:
    """The exit status."""
    given = ["--model", "demo", "--lora", LORAS[lora], "--images", IMAGES, "--output", output, *short, *arguments]
    return main(["search", *map(str, given)])

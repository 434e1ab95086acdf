"""`python -m appl_search demo`: searches on the tiny SDXL, and shows that the found weights win."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from .. import LoraSource, SearchResult, SearchSettings, TrainingSet
from ..demo import load_images, load_tiny_sdxl, lora_paths
from ..report.console import ConsoleProgress
from ..report.tables import table
from .options import add_settings, given_settings

STRENGTHS = [step / 10 for step in range(2, 11)]
EVALUATION = SearchSettings(samples=160, batch_size=32, seed=2024)


@dataclass(frozen=True)
class Comparison:
    """Denoising loss on held-out images of one choice of weights; ``difference`` and its standard error are to the found ones."""

    name: str
    loss: float
    difference: float
    stderr: float


def add(commands) -> None:
    """The command and its options."""
    parser = commands.add_parser("demo", help="search the block weights of the demo's LoRA on a tiny SDXL")
    parser.add_argument("--output", type=Path, default=Path("demo_result.json"), help="file to write (%(default)s)")
    add_settings(parser, SearchSettings, "settings of the search")
    parser.set_defaults(run=_with_options)


def _with_options(options: argparse.Namespace) -> None:
    from ..host.embedded import prepare

    prepare()
    run(given_settings(options, SearchSettings), options.output)


def run(settings: SearchSettings, output: Path) -> SearchResult:
    """Searches both LoRAs' block weights, prints what was found and writes it as JSON to ``output``."""
    from .. import search

    models = load_tiny_sdxl()
    sources = [LoraSource(path) for path in lora_paths().values()]
    names = " and ".join(source.name for source in sources)
    print(f"Searching the block weights of {names} over {settings.samples} samples with {settings.method}.")
    images = TrainingSet.from_images(*load_images("styled_train"))
    with ConsoleProgress(settings.samples) as progress:
        result = search(*models, sources, images, settings, on_event=progress)
    for found in result.block_weights:
        print(f"\n{found.name}:", *table(found), sep="\n")
    print("\nDenoising loss on images that the search has not seen:")
    for row in compare(models, sources, result):
        print(f"  {row.name:24} {row.loss:.5f}   found is lower by {row.difference:.5f} +- {row.stderr:.5f}")
    for found in result.block_weights:
        print(f"\n{found.name}:")
        for format in ("plain", "inspire", "a1111-tag"):
            print(f"  {format + ':':10} {found.to_string(format)}")
    output.write_text(result.to_json(), encoding="utf-8")
    print(f"\nThe whole result is in {output}")
    return result


def compare(models: tuple, sources: Sequence[LoraSource], result: SearchResult) -> list[Comparison]:
    """The found weights against no LoRA, all ones and the best single strength, on the same held-out draws."""
    from .. import evaluate

    found = [weights.values for weights in result.block_weights]
    candidates = {"found": found, "no LoRA": [[0.0] * len(rates) for rates in found]}
    candidates |= {f"strength {strength:.1f}": [[strength] * len(rates) for rates in found] for strength in STRENGTHS}
    heldout = TrainingSet.from_images(*load_images("styled_heldout"))
    losses = dict(zip(candidates, evaluate(*models, sources, heldout, list(candidates.values()), EVALUATION)))
    single = min((name for name in losses if name.startswith("strength")), key=lambda name: losses[name].mean())
    rows = {"no LoRA": "no LoRA", "all ones": "strength 1.0", f"best single ({single[9:]})": single, "found": "found"}
    return [_row(name, losses[key], losses["found"]) for name, key in rows.items()]


def _row(name: str, losses: torch.Tensor, found: torch.Tensor) -> Comparison:
    difference = losses - found
    return Comparison(name, float(losses.mean()), float(difference.mean()), float(difference.std() / len(losses) ** 0.5))

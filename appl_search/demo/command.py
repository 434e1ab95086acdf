"""`python -m appl_search demo`: searches on the tiny SDXL, and shows that the found weights win."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from .. import BlockWeights, LoraSource, SearchResult, SearchSettings, TrainingSet, evaluate, search
from ..blocks import NUM_BLOCKS
from ..cli import table
from ..console import ConsoleProgress
from . import load_images, load_tiny_sdxl, lora_paths

STRENGTHS = [step / 10 for step in range(1, 13)]
EVALUATION = SearchSettings(samples=192, batch_size=32, seed=2024)


@dataclass(frozen=True)
class Comparison:
    """Denoising loss on held-out images of one choice of weights; ``difference`` and its standard error are to the found ones."""

    name: str
    loss: float
    difference: float
    stderr: float


def run(settings: SearchSettings, output: Path) -> SearchResult:
    """Searches the character's block weights, prints what was found and writes it as JSON to ``output``."""
    model, clip, vae = load_tiny_sdxl()
    source = LoraSource(lora_paths()["character"])
    print(f"Searching the block weights of {source.name} over {settings.samples} samples with {settings.method}.")
    with ConsoleProgress(settings.samples) as progress:
        result = search(
            model, clip, vae, [source], TrainingSet.from_images(*load_images("train")), settings, on_event=progress
        )
    found = result.block_weights[0]
    print(f"\n{found.name}:", *table(found), sep="\n")
    print("\nDenoising loss on held-out images:")
    for row in compare(model, clip, vae, source, found):
        print(f"  {row.name:24} {row.loss:.5f}   found is lower by {row.difference:.5f} +- {row.stderr:.5f}")
    print()
    for format in ("plain", "inspire", "a1111-tag"):
        print(f"{format + ':':10} {found.to_string(format)}")
    output.write_text(result.to_json(), encoding="utf-8")
    print(f"\nThe whole result is in {output}")
    return result


def compare(model, clip, vae, source: LoraSource, found: BlockWeights) -> list[Comparison]:
    """The found weights against no LoRA, all ones and the best single strength, on the same draws."""
    candidates: dict[str, Sequence[float]] = {"found": found.values, "no LoRA": [0.0] * NUM_BLOCKS}
    candidates |= {f"strength {strength:.1f}": [strength] * NUM_BLOCKS for strength in STRENGTHS}
    heldout = TrainingSet.from_images(*load_images("heldout"))
    losses = evaluate(model, clip, vae, [source], heldout, [[rates] for rates in candidates.values()], EVALUATION)
    by_name = dict(zip(candidates, losses))
    single = min((name for name in by_name if name.startswith("strength")), key=lambda name: by_name[name].mean())
    rows = {"no LoRA": "no LoRA", "all ones": "strength 1.0", f"best single ({single[9:]})": single, "found": "found"}
    return [_row(name, by_name[key], by_name["found"]) for name, key in rows.items()]


def _row(name: str, losses: torch.Tensor, found: torch.Tensor) -> Comparison:
    difference = losses - found
    return Comparison(name, float(losses.mean()), float(difference.mean()), float(difference.std() / len(losses) ** 0.5))

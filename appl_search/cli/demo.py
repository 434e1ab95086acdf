"""`python -m appl_search demo`: searches on the tiny SDXL, and shows that the found weights win."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from .. import LoraSource, SearchResult, SearchSettings, TrainingSet
from ..comparing.comparison import Comparison
from ..comparing.verdict import strengths_in_words, verdict
from ..demo import load_images, load_tiny_sdxl, lora_paths
from ..report.console import ConsoleProgress
from ..report.tables import comparison_table, table
from .options import add_settings, given_settings

#: What everybody can try by hand: one strength for all blocks of both LoRAs.
STRENGTHS = [step / 5 for step in range(6)]
EVALUATION = SearchSettings(comparison=320, batch_size=32, seed=2024)


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
    print("\nDenoising loss on images that the search has not seen, and by how much each is above the found one's:")
    comparison = compare_on_unseen(models, sources, result)
    print(*comparison_table(comparison), verdict(comparison).text, sep="\n")
    for found in result.block_weights:
        print(f"\n{found.name}:")
        for format in ("plain", "inspire", "a1111-tag"):
            print(f"  {format + ':':10} {found.to_string(format)}")
    output.write_text(result.to_json(), encoding="utf-8")
    print(f"\nThe whole result is in {output}")
    return result


def compare_on_unseen(models: tuple, sources: Sequence[LoraSource], result: SearchResult) -> Comparison:
    """The found weights against one strength for all blocks, whichever may be best, on the same draws of images kept for this."""
    from .. import compare

    found = [weights.values for weights in result.block_weights]
    choices = {"found": found}
    choices |= {strengths_in_words([strength]): [[strength] * len(rates) for rates in found] for strength in STRENGTHS}
    return compare(*models, sources, TrainingSet.from_images(*load_images("styled_heldout")), choices, EVALUATION)

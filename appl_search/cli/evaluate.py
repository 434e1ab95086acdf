"""`python -m appl_search evaluate`: choices of block weights compared on a folder of pictures."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from ..comparing.ranking import ranking, ranking_table
from ..loras.source import LoraSource
from ..searching.result import SearchResult
from ..weights.block_weights import BlockWeights
from ..whole_files import written_whole
from .inputs import add_inputs, read_task

#: Between the parts of a choice that are for one LoRA each.
NEXT_LORA = "|"


def add(commands) -> None:
    """The command and its options."""
    parser = commands.add_parser(
        "evaluate",
        usage="%(prog)s --model FILE --lora FILE [FILE ...] --images FOLDER --choice NAME=WHAT [NAME=WHAT ...] [options]",
        help="compare block weights on pictures, with intervals",
        description="Compares choices of block weights on pictures. No LoRA is always one of them. Options that only a search has "
        "do nothing here; --comparison says how many samples each choice gets.",
    )
    add_inputs(parser)
    parser.add_argument(
        "--choice", nargs="+", action="extend", required=True, metavar="NAME=WHAT",
        help=f"a result file (.json), or a strength or a string for each LoRA of --lora, with '{NEXT_LORA}' between them; one for all of them if there is only one. The name may be left out",
    )  # fmt: skip
    parser.add_argument("--table", type=Path, metavar="FILE", help="where to write the table, too")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Prints the comparison."""
    from ..host import checkpoint

    checkpoint.prepare()
    from ..searching.api import compare  # imports the host

    task = read_task(options)
    choices = dict(read_choice(text, task.loras) for text in options.choice)
    blocks = len(next(iter(choices.values()))[0])
    models = task.models
    comparison = compare(
        models.model, models.clip, models.vae, task.loras, task.images, {"no LoRA": [[0.0] * blocks for _ in task.loras], **choices},
        task.settings,
    )  # fmt: skip
    text = "\n".join([ranking(comparison), "", *ranking_table(comparison)])
    print(text)
    for note in (*task.images.remarks, *comparison.notes):
        print(f"note: {note}", file=sys.stderr)
    if options.table is not None:
        with written_whole(options.table) as temporary:
            temporary.write_text(text + "\n", encoding="utf-8")


def read_choice(text: str, loras: Sequence[LoraSource]) -> tuple[str, list[list[float]]]:
    """The name of a choice and its rates [LoRAs][blocks]. Raises ValueError that quotes it."""
    name, _, what = text.partition("=")
    if not what or any(sign in name for sign in ",:|<"):
        name, what = text, text
    try:
        if what.lower().endswith(".json"):
            return name, _of_result(Path(what), loras)
        parts = what.split(NEXT_LORA)
        if len(parts) not in (1, len(loras)):
            raise ValueError(f"it has {len(parts)} parts for {len(loras)} LoRAs")
        return name, [_rates(part.strip(), source) for part, source in zip(parts * (len(loras) // len(parts)), loras)]
    except ValueError as error:
        raise ValueError(f"--choice {text[:100]}: {error}") from error


def _rates(text: str, source: LoraSource) -> list[float]:
    try:
        strength = float(text)
    except ValueError:
        return list(BlockWeights.parse(text, source).values)
    return list(BlockWeights.uniform(source, strength).values)


def _of_result(path: Path, loras: Sequence[LoraSource]) -> list[list[float]]:
    """The rates of a saved result for these LoRAs, by their files' hashes; a LoRA that it has not is off."""
    found = {weights.layout.sha256: list(weights.values) for weights in SearchResult.from_json(path.read_text(encoding="utf-8")).block_weights}
    ours = [source.file.sha256 for source in loras]
    if missing := set(found) - set(ours):
        raise ValueError(f"the result is of {len(missing)} LoRA(s) that --lora does not name. Give all of its LoRAs.")
    blocks = len(next(iter(found.values())))
    return [found.get(sha256, [0.0] * blocks) for sha256 in ours]

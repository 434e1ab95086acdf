"""`python -m appl_search search`: block weights of LoRAs for a checkpoint and a folder of pictures."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from ..report.console import SearchConsole
from ..searching.team import launched_team
from .config_file import with_config
from .inputs import add_inputs, read_task
from .logs import ALL, TRACKERS, chosen_trackers
from .outputs import Outputs
from .script_names import in_our_words


def add(commands) -> None:
    """The command and its options."""
    parser = commands.add_parser(
        "search",
        usage="%(prog)s --model FILE --lora FILE [FILE ...] --images FOLDER [options]",
        help="search block weights of LoRAs for your checkpoint and pictures",
        description="Searches block weights of LoRAs. The options of kohya-ss's train_network_appl_weights.py are understood "
        "where they mean the same; docs/options.md has them all.",
        rewrite=_rewritten,
    )
    parser.add_argument("--config", type=Path, metavar="FILE", help="options from a TOML file; those given here count more")
    add_inputs(parser)
    output = parser.add_argument_group("what is written")
    output.add_argument("--output", type=Path, default=Path("block_weights"), metavar="FOLDER", help="where to (%(default)s)")
    output.add_argument("--name", default="found", help="how file names begin (%(default)s)")
    output.add_argument("--overwrite", action="store_true", help="the result of another search of this name may be replaced")
    output.add_argument("--bake", action="store_true", help="LoRA files with what was found multiplied in, too")
    output.add_argument("--log-with", nargs="+", choices=(*TRACKERS, ALL), default=[], help="logs for these programs, too")
    output.add_argument("--resume", type=Path, metavar="STATE", help="a state to go on from; one of the same search in --output is found by itself")
    output.add_argument("--dry-run", action="store_true", help="say what would be done, the memory and the time it takes, after two steps")
    parser.set_defaults(run=run)


def _rewritten(arguments: Sequence[str], ours: Sequence[str]) -> list[str]:
    return in_our_words(with_config(arguments), ours)


def run(options: argparse.Namespace) -> None:
    """Searches, and writes what was found."""
    from ..host import checkpoint

    options.log_with = chosen_trackers(options.log_with)
    outputs = None if options.dry_run else Outputs(options.output, options.name, options.overwrite)
    team = launched_team()
    checkpoint.prepare()
    from .dry_run import dry_run  # these import the host
    from .kept_search import search

    task = read_task(options)
    if team.is_main:
        for note in task.images.remarks:
            print(f"note: {note}", file=sys.stderr)
    if outputs is None:
        said = dry_run(task, team)
        if team.is_main:
            print(said)
        return
    outputs.check(task, [Path(options.model)], options.bake)
    result, pictures = search(task, team, outputs, options)
    if not team.is_main:
        return
    written = outputs.save(result, pictures)
    if options.bake:
        written += outputs.save_baked(task, result)
    SearchConsole.show_result(result)
    print("\nWrote", *written, sep="\n  ")

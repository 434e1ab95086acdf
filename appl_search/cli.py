"""The command line: `python -m appl_search COMMAND`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from .settings import METHODS, SearchSettings


def main(arguments: list[str] | None = None) -> int:
    """Runs one command; returns the exit status. Bad input prints its reason and gives 2."""
    options = _parser().parse_args(arguments)
    try:
        options.run(options)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m appl_search", description="LoRA block weights for SDXL.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_demo(commands)
    return parser


def _add_demo(commands) -> None:
    defaults = SearchSettings()
    demo = commands.add_parser("demo", help="search the block weights of the demo's LoRA on a tiny SDXL")
    demo.add_argument("--method", choices=METHODS, default=defaults.method)
    demo.add_argument("--samples", type=int, default=defaults.samples, help="draws in all (%(default)s)")
    demo.add_argument("--penalty", type=float, default=defaults.penalty, help="price of the rates (%(default)s)")
    demo.add_argument("--seed", type=int, default=defaults.seed, help="of the draws (%(default)s)")
    demo.add_argument("--output", type=Path, default=Path("demo_result.json"), help="file to write (%(default)s)")
    demo.set_defaults(run=_demo)


def _demo(options: argparse.Namespace) -> None:
    from .embedded_host import prepare

    prepare()
    from .demo import command

    settings = SearchSettings(
        method=options.method, samples=options.samples, penalty=options.penalty, seed=options.seed
    )
    command.run(settings, options.output)

"""`python -m appl_search convert`: block weights of a LoRA from one format to another."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ..weights.formats import FORMATS
from .weights_input import read_weights


def add(commands) -> None:
    """The command and its options."""
    parser = commands.add_parser("convert", help="block weights of a LoRA from one format to another")
    parser.add_argument("lora", type=Path, help="the LoRA file that they are for")
    parser.add_argument("weights", help="the block weights in any format, or @FILE; a FILE of the published script too")
    parser.add_argument("--from", dest="source_format", choices=FORMATS, help="their format (found out by itself)")
    parser.add_argument("--network", type=int, help="which LoRA of the script's file, counted from 0 (found out by itself)")
    parser.add_argument("--to", choices=[*FORMATS, "all"], default="all", help="format to print (%(default)s)")
    parser.add_argument("--digits", type=int, default=3, help="decimals (%(default)s)")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Prints them."""
    weights = read_weights(options.lora, options.weights, options.source_format, options.network)
    for name in FORMATS if options.to == "all" else [options.to]:
        text = weights.to_string(name, options.digits)
        print(text if options.to != "all" else f"{name}: {text}")
        for warning in FORMATS[name].warnings(weights):
            print(f"warning: {warning}", file=sys.stderr)

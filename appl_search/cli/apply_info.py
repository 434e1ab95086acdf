"""`python -m appl_search apply-info`: which blocks a LoRA has, and what block weights do to it."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..loras.layout import read_layout
from ..loras.source import LoraSource
from ..report.tables import table
from ..weights.block_weights import BlockWeights
from .weights_input import read_weights


def add(commands) -> None:
    """The command and its options."""
    parser = commands.add_parser("apply-info", help="which blocks a LoRA has, and what block weights do to it")
    parser.add_argument("lora", type=Path, help="the LoRA file")
    parser.add_argument("weights", nargs="?", help="block weights in any format, or @FILE (all 1)")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Prints it."""
    layout = read_layout(LoraSource(options.lora))
    all_ones = BlockWeights(layout, (1.0,) * len(layout.present))
    weights = read_weights(options.lora, options.weights) if options.weights else all_ones
    print(f"{layout.name}  SHA-256 {layout.sha256}")
    print("\n".join(table(weights)))
    groups = ", ".join(f"{group} {count}" for group, count in layout.groups.items())
    print(f"keys: {groups}")

"""`python -m appl_search bake`: writes a LoRA file with block weights multiplied in."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..loras.source import LoraSource
from ..weights.bake import Merged, bake, merge
from .weights_input import read_weights


def add(commands) -> None:
    """The command and its options."""
    parser = commands.add_parser("bake", help="write a LoRA file with block weights multiplied in")
    parser.add_argument("output", type=Path, help="the new safetensors file; it must not exist")
    parser.add_argument(
        "--lora", nargs=2, action="append", required=True, metavar=("FILE", "WEIGHTS"),
        help="a LoRA file and its block weights (any format, or @FILE); several are merged",
    )  # fmt: skip
    parser.add_argument("--rank", type=int, help="rank of a merged file (the exact sum of ranks)")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Writes the file."""
    if options.output.exists():
        raise ValueError(f"{options.output} exists already. Choose another name.")
    pairs = [(LoraSource(path), read_weights(Path(path), text)) for path, text in options.lora]
    baked: Merged = bake(*pairs[0]) if len(pairs) == 1 and options.rank is None else merge(pairs, options.rank)
    baked.save(options.output)
    lost = f", {baked.error:.2%} of the norm is lost" if baked.error > 5e-4 else ""
    print(f"Wrote {options.output}: {len(baked.tensors)} tensors{lost}")

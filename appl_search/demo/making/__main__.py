"""Command line: `python -m appl_search.demo.making --seed 0 --out DIR`."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

from ...host.tiny_sdxl import TinyConfig
from .make import Lengths, make_all


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m appl_search.demo.making", description="Make the demo's files again."
    )
    parser.add_argument("--out", type=Path, required=True, help="folder to write to")
    parser.add_argument("--seed", type=int, default=0, help="seed of the world's pictures and of every training")
    parser.add_argument(
        "--depths",
        type=int,
        nargs=3,
        default=TinyConfig.depths,
        metavar=("LEVEL2", "LEVEL3", "MIDDLE"),
        help="transformer blocks per layer at the two attention levels and in the middle (SDXL: 2 10 10)",
    )
    parser.add_argument("--effort", type=float, default=1.0, help="scales the length of every training (default 1.0)")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    make_all(arguments.out, arguments.seed, TinyConfig(depths=tuple(arguments.depths)), Lengths().scaled(arguments.effort))


if __name__ == "__main__":
    main()

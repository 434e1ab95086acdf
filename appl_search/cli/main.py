"""The command line: `python -m appl_search COMMAND`. All but the demo work without ComfyUI and a GPU."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ..loras.layout import read_layout
from ..loras.source import LoraSource
from ..report.tables import table
from ..settings import SearchSettings
from ..weights.bake import Merged, bake, merge
from ..weights.block_weights import BlockWeights
from ..weights.formats import FORMATS
from .options import add_settings, given_settings


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
    for add in (_add_demo, _add_convert, _add_bake, _add_apply_info):
        add(commands)
    return parser


def _add_demo(commands) -> None:
    demo = commands.add_parser("demo", help="search the block weights of the demo's LoRA on a tiny SDXL")
    demo.add_argument("--output", type=Path, default=Path("demo_result.json"), help="file to write (%(default)s)")
    add_settings(demo, SearchSettings, "settings of the search")
    demo.set_defaults(run=_demo)


def _demo(options: argparse.Namespace) -> None:
    from ..host.embedded import prepare

    prepare()
    from . import demo as command

    command.run(given_settings(options, SearchSettings), options.output)


def _add_convert(commands) -> None:
    convert = commands.add_parser("convert", help="block weights of a LoRA from one format to another")
    convert.add_argument("lora", type=Path, help="the LoRA file that they are for")
    convert.add_argument("weights", help="the block weights in any format, or @FILE")
    convert.add_argument("--from", dest="source_format", choices=FORMATS, help="their format (found out by itself)")
    convert.add_argument("--to", choices=[*FORMATS, "all"], default="all", help="format to print (%(default)s)")
    convert.add_argument("--digits", type=int, default=3, help="decimals (%(default)s)")
    convert.set_defaults(run=_convert)


def _convert(options: argparse.Namespace) -> None:
    weights = _read(options.lora, options.weights, options.source_format)
    for name in FORMATS if options.to == "all" else [options.to]:
        text = weights.to_string(name, options.digits)
        print(text if options.to != "all" else f"{name}: {text}")
        for warning in FORMATS[name].warnings(weights):
            print(f"warning: {warning}", file=sys.stderr)


def _add_bake(commands) -> None:
    command = commands.add_parser("bake", help="write a LoRA file with block weights multiplied in")
    command.add_argument("output", type=Path, help="the new safetensors file; it must not exist")
    command.add_argument(
        "--lora", nargs=2, action="append", required=True, metavar=("FILE", "WEIGHTS"),
        help="a LoRA file and its block weights (any format, or @FILE); several are merged",
    )  # fmt: skip
    command.add_argument("--rank", type=int, help="rank of a merged file (the exact sum of ranks)")
    command.set_defaults(run=_bake)


def _bake(options: argparse.Namespace) -> None:
    if options.output.exists():
        raise ValueError(f"{options.output} exists already. Choose another name.")
    pairs = [(LoraSource(path), _read(Path(path), text)) for path, text in options.lora]
    baked: Merged = bake(*pairs[0]) if len(pairs) == 1 and options.rank is None else merge(pairs, options.rank)
    baked.save(options.output)
    print(f"Wrote {options.output}: {len(baked.tensors)} tensors" + (f", {baked.error:.2%} of the norm is lost" if baked.error > 5e-4 else ""))


def _add_apply_info(commands) -> None:
    info = commands.add_parser("apply-info", help="which blocks a LoRA has, and what block weights do to it")
    info.add_argument("lora", type=Path, help="the LoRA file")
    info.add_argument("weights", nargs="?", help="block weights in any format, or @FILE (all 1)")
    info.set_defaults(run=_apply_info)


def _apply_info(options: argparse.Namespace) -> None:
    layout = read_layout(LoraSource(options.lora))
    all_ones = BlockWeights(layout, (1.0,) * len(layout.present))
    weights = _read(options.lora, options.weights) if options.weights else all_ones
    print(f"{layout.name}  SHA-256 {layout.sha256}")
    print("\n".join(table(weights)))
    groups = ", ".join(f"{group} {count}" for group, count in layout.groups.items())
    print(f"keys: {groups}")


def _read(lora: Path, text: str, format: str | None = None) -> BlockWeights:
    if text.startswith("@"):
        text = Path(text[1:]).read_text(encoding="utf-8")
    return BlockWeights.parse(text, LoraSource(lora), format)

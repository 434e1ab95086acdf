"""`python -m appl_search look`: how much LoRAs change each block, without any picture."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..loras.look import LoraLook, look_at_file
from ..loras.source import LoraSource
from ..report.look import look_table, look_words
from .inputs import DEMO, load_models


def add(commands) -> None:
    """The command and its options."""
    parser = commands.add_parser("look", help="how much LoRAs change each block: keys, ranks and norms, without any picture")
    parser.add_argument("--lora", nargs="+", type=Path, required=True, metavar="FILE", help="LoRA files")
    parser.add_argument("--model", metavar="FILE", help=f"a checkpoint, to see norms relative to its weights, or '{DEMO}' for the tiny SDXL")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Prints it. Without a model no ComfyUI is needed."""
    sources = [LoraSource(path).loaded() for path in options.lora]
    for look in _with_model(sources, options.model) if options.model else map(look_at_file, sources):
        print(f"{look.layout.name}  SHA-256 {look.layout.sha256}", *look_table(look), "", look_words(look), "", sep="\n")
        for note in look.notes:
            print(f"note: {note}")


def _with_model(sources: list[LoraSource], name: str) -> list[LoraLook]:
    from ..host import checkpoint

    checkpoint.prepare()
    from ..host.look import look_at

    model, clip, _ = load_models(name)
    return [look_at(source, model, clip) for source in sources]

"""Block weights as the commands are given them."""

from __future__ import annotations

from pathlib import Path

from ..loras.source import LoraSource
from ..weights.block_weights import BlockWeights
from ..weights.script_file import SUFFIX, read_script_file


def read_weights(lora: Path, text: str, format: str | None = None, network: int | None = None) -> BlockWeights:
    """Of a LoRA file, from a text in any format, or @FILE.

    A safetensors FILE is one that the published script saved; ``network`` says which of its LoRAs, counted from 0.
    """
    if not text.startswith("@"):
        return BlockWeights.parse(text, LoraSource(lora), format)
    path = Path(text[1:])
    if path.suffix.lower() == SUFFIX:
        return read_script_file(path, LoraSource(lora), network)
    return BlockWeights.parse(path.read_text(encoding="utf-8"), LoraSource(lora), format)

"""Finds the block weights for a LoRA file, and the LoRA file for block weights."""

from __future__ import annotations

from pathlib import Path

from ...appl_search import BlockWeights, LoraSource, SearchResult
from ...appl_search.loras.files import file_hash
from ...appl_search.loras.layout import read_layout
from .lora_files import lora_path, lora_paths_of_stem

#: The choice of a text's format that leaves it to the text.
AUTO = "auto"


def rates_for(
    lora_name: str, result: SearchResult | None, text: str, format: str
) -> tuple[LoraSource, BlockWeights, list[str]]:
    """The LoRA file of a widget, its rates from a result or from a text in a ``format`` or AUTO, and warnings.

    Raises ValueError unless exactly one of the two is given and has rates for this LoRA, and LoraError for the file.
    """
    source = LoraSource(lora_path(lora_name))
    if result is not None and text.strip():
        raise ValueError("There are block weights both in the text and from another node. Disconnect block_weights, or empty the text.")
    if result is not None:
        return source, *_from_result(result, source)
    if text.strip():
        return source, BlockWeights.parse(text, source, None if format == AUTO else format), []
    raise ValueError("There are no block weights. Connect block_weights, or write them into the text.")


def _from_result(result: SearchResult, source: LoraSource) -> tuple[BlockWeights, list[str]]:
    layout = read_layout(source)
    for weights in result.block_weights:
        if weights.layout.sha256 == layout.sha256:
            return weights, []
    for weights in result.block_weights:
        if weights.name.rpartition("/")[2] == layout.name and source.path in lora_paths_of_stem(weights.name):
            warning = _other_file(weights, source.path, layout.sha256)
            new = [name for name, had, has in zip(weights.blocks, weights.present, layout.present) if has and not had]
            if new:
                warning += f" Its blocks {', '.join(new)} have no rate and stay off."
            return BlockWeights(layout=layout, values=weights.values, stderr=weights.stderr), [warning]
    names = ", ".join(weights.name for weights in result.block_weights)
    raise ValueError(f"These block weights are of {names}, not of {source.path}. Choose the LoRA that they were found for.")


def source_of(weights: BlockWeights) -> LoraSource:
    """The LoRA file that block weights were found for, by its name and hash. ValueError when the user has no such file."""
    paths = lora_paths_of_stem(weights.name)
    for path in paths:
        if _hash(path) == weights.layout.sha256:
            return LoraSource(path)
    found = "; ".join(_other_file(weights, path, _hash(path)) for path in paths)
    raise ValueError(found or f"There is no LoRA named {weights.name} in ComfyUI's loras folders. Put it there and refresh the page (R).")


def check_files(result: SearchResult) -> list[str]:
    """A warning for each LoRA of a result of which the user has no file, or only another one of the same name."""
    warnings = []
    for weights in result.block_weights:
        hashes = {path: _hash(path) for path in lora_paths_of_stem(weights.name)}
        if not hashes:
            warnings.append(f"There is no LoRA named {weights.name} in ComfyUI's loras folders.")
        elif weights.layout.sha256 not in hashes.values():
            warnings += [_other_file(weights, path, found) for path, found in hashes.items()]
    return warnings


def _hash(path: Path) -> str:
    stat = path.stat()
    return file_hash(path, stat.st_size, stat.st_mtime_ns)


def _other_file(weights: BlockWeights, path: str | Path, found: str) -> str:
    return (
        f"LoRA file {path} is not the one that these block weights were found for, only one of the same name (SHA-256 "
        f"{found[:10]}, expected {weights.layout.sha256[:10]}). The rates may not suit it."
    )

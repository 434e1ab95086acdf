"""The file that the published script saves: one tensor with the rates of all its LoRAs, one LoRA behind the other."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from ..loras.layout import read_layout
from ..loras.source import LoraSource
from ..whole_files import written_whole
from .block_weights import BlockWeights

SUFFIX = ".safetensors"
_TENSOR = "weights"  # kohya-ss/sd-scripts, train_network_appl_weights.py, NetworkApplicationWeights
_KEY = "appl_search_loras"  # of the metadata, which the script does not write: the hashes of the LoRAs, in order


def write_script_file(path: Path, block_weights: Sequence[BlockWeights]) -> None:
    """Writes "weights" [LoRAs * blocks] in fp32, whole or not at all; blocks that a LoRA does not have are 0."""
    rates = torch.tensor([rate for weights in block_weights for rate in weights.values], dtype=torch.float32)
    hashes = json.dumps([weights.layout.sha256 for weights in block_weights])
    with written_whole(path) as temporary:
        save_file({_TENSOR: rates}, temporary, {_KEY: hashes})


def read_script_file(path: Path, source: LoraSource, network: int | None = None) -> BlockWeights:
    """The rates that a file gives a LoRA. ``network``: which of the file's LoRAs it is, counted from 0.

    Without it the file must say by its metadata, or have rates for one LoRA only. Raises ValueError with the path for
    any other file, and OSError for one that cannot be opened.
    """
    try:
        with safe_open(str(path), framework="pt", device="cpu") as file:
            rates = file.get_tensor(_TENSOR).double() if _TENSOR in file.keys() else None
            hashes = json.loads((file.metadata() or {}).get(_KEY, "[]"))
    except (SafetensorError, json.JSONDecodeError) as error:
        raise ValueError(f"{path} is no safetensors file: {error}.") from error
    layout = read_layout(source)
    blocks = len(layout.architecture.blocks)
    if rates is None or rates.ndim != 1 or not len(rates) or len(rates) % blocks:
        shape = "no tensor of this name" if rates is None else f"shape {tuple(rates.shape)}"
        raise ValueError(
            f"{path} is not what the published script saves: expected {_TENSOR!r} with {blocks} numbers for each LoRA, got {shape}."
        )
    networks = rates.view(-1, blocks).tolist()
    if network is None:
        network = 0 if len(networks) == 1 else _place_of(layout.sha256, hashes, path, len(networks))
    if not 0 <= network < len(networks):
        raise ValueError(f"{path} has rates for {len(networks)} LoRAs, so there is no network {network}, counted from 0.")
    return BlockWeights(layout, tuple(networks[network]))


def _place_of(sha256: str, hashes: Sequence[str], path: Path, count: int) -> int:
    if sha256 not in hashes:
        raise ValueError(f"{path} has rates for {count} LoRAs. Say which is meant: --network 0 for the first.")
    return hashes.index(sha256)

"""Results without a search."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import torch

from appl_search import BlockWeights, LoraSource, SearchResult, SearchSettings
from appl_search.searching.result import History


def result_for(*rates: tuple[Path, Mapping[str, float]]) -> SearchResult:
    """A result that gives LoRA files rates by block name, 1 for the blocks not named, and BASE no standard error."""
    weights = tuple(BlockWeights.for_lora(LoraSource(path), blocks) for path, blocks in rates)
    blocks = len(weights[0].blocks)
    errors = (math.nan,) + (0.01,) * (blocks - 1)
    weights = tuple(BlockWeights(found.layout, found.values, errors) for found in weights)
    history = History(torch.zeros(2, len(rates), blocks), torch.tensor([0.1]), torch.tensor([0.0]))
    return SearchResult(weights, history, SearchSettings(samples=16), 16, 1.5, "eps")

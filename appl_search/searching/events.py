"""What those who watch a search are told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from .result import SearchResult


@dataclass(frozen=True, kw_only=True)
class Event:
    """A finished step.

    ``block_weights`` [LoRAs, blocks]: after the step. ``loss``: the batch's denoising loss. ``seconds``: of all steps so
    far. ``result()`` makes the result so far.
    """

    step: int
    steps: int
    samples: int
    total_samples: int
    loss: float
    penalty: float
    seconds: float
    block_weights: Tensor
    result: Callable[[], SearchResult]


class SearchDiverged(RuntimeError):
    """The loss became NaN or infinite. ``result``: the search up to the last good step."""

    def __init__(self, message: str, result: SearchResult):
        super().__init__(message)
        self.result = result

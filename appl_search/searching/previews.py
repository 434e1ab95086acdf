"""Pictures sampled while a search runs: what the block weights do, with the same prompt and noise each time."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import Tensor

from ..gradients.evaluator import Evaluator
from ..host import device
from ..settings import PreviewSettings

log = logging.getLogger("appl_search")


@dataclass(frozen=True)
class Preview:
    """A picture as a latent [4, height / 8, width / 8] in the VAE's scale, after so many samples of the search.

    ``number``: which of the wanted pictures it is, from 0. ``is_last``: it has the block weights that the search ends with.
    """

    samples: int
    latent: Tensor
    is_last: bool = False
    number: int = 0


class Previewer:
    """Samples pictures whenever they are due, at the times of the first, and hands them to ``show``."""

    def __init__(self, evaluator: Evaluator, wanted: Sequence[PreviewSettings], show: Callable[[Preview], object]):
        self._evaluator, self._wanted, self._show = evaluator, list(wanted), show
        self._due = 0

    def at(self, samples: int, rates: Tensor) -> None:
        """``rates`` [LoRAs, blocks] after so many samples of the search."""
        if self._wanted and samples >= self._due:
            every = self._wanted[0].every
            self._sample(samples, rates)
            self._due = (samples // every + 1) * every

    def last(self, samples: int, rates: Tensor) -> None:
        """The rates that the search ends with."""
        self._sample(samples, rates, is_last=True)

    def _sample(self, samples: int, rates: Tensor, is_last: bool = False) -> None:
        for number, wanted in enumerate(list(self._wanted)):
            try:
                latent = self._evaluator.sample(wanted, rates)
            except device.OUT_OF_MEMORY:
                self._wanted = []
                device.release_memory()
                log.warning(
                    "Out of memory for a preview picture of %dx%d: the search goes on without previews.", wanted.width, wanted.height
                )
                return
            self._show(Preview(samples, latent, is_last, number))

    def state_dict(self) -> dict:
        return {"due": self._due}

    def load_state_dict(self, state: dict) -> None:
        self._due = state["due"]

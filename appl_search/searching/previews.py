"""Pictures sampled while a search runs: what the block weights do, with the same prompt and noise each time."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from ..gradients.evaluator import Evaluator
from ..host import device
from ..settings import PreviewSettings

log = logging.getLogger("appl_search")


@dataclass(frozen=True)
class Preview:
    """A picture as a latent [4, height / 8, width / 8] in the VAE's scale, after so many samples of the search.

    ``is_last``: it has the block weights that the search ends with.
    """

    samples: int
    latent: Tensor
    is_last: bool = False


class Previewer:
    """Samples a picture whenever one is due, and hands it to ``show``; without settings it does nothing."""

    def __init__(self, evaluator: Evaluator, settings: PreviewSettings | None, show: Callable[[Preview], object]):
        self._evaluator, self._settings, self._show = evaluator, settings, show
        self._due = 0

    def at(self, samples: int, rates: Tensor) -> None:
        """``rates`` [LoRAs, blocks] after so many samples of the search."""
        if self._settings is not None and samples >= self._due:
            due = (samples // self._settings.every + 1) * self._settings.every
            self._sample(samples, rates)
            self._due = due

    def last(self, samples: int, rates: Tensor) -> None:
        """The rates that the search ends with."""
        if self._settings is not None:
            self._sample(samples, rates, is_last=True)

    def _sample(self, samples: int, rates: Tensor, is_last: bool = False) -> None:
        wanted = self._settings
        try:
            latent = self._evaluator.sample(wanted, rates)
        except device.OUT_OF_MEMORY:
            self._settings = None
            device.release_memory()
            log.warning(
                "Out of memory for a preview picture of %dx%d: the search goes on without previews.", wanted.width, wanted.height
            )
        else:
            self._show(Preview(samples, latent, is_last))

    def state_dict(self) -> dict:
        return {"due": self._due}

    def load_state_dict(self, state: dict) -> None:
        self._due = state["due"]

"""The way of a search so far, and results made of it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ..gradients.rates import Rates
from ..loras.layout import LoraLayout
from ..settings import SearchSettings
from .methods import Method
from .penalty_path import PenaltyPath
from .result import History, SearchResult, block_weights_of


class Record:
    """Block weights, losses and penalties of every step. ``samples``, ``seconds``: in all so far."""

    def __init__(
        self, rates: Rates, layouts: Sequence[LoraLayout], settings: SearchSettings, method: Method, prediction: str
    ):
        self._rates, self._layouts, self._settings = rates, layouts, settings
        self._method, self._prediction = method, prediction
        self._block_weights = [self._all(method.parameters)]
        self._losses: list[float] = []
        self._penalties: list[float] = []
        self.samples, self.seconds = 0, 0.0

    @property
    def steps(self) -> int:
        return len(self._losses)

    @property
    def block_weights(self) -> Tensor:
        """[LoRAs, blocks] after the last step."""
        return self._block_weights[-1]

    def add(self, loss: float, penalty: float, samples: int, seconds: float) -> None:
        """A step that the method has taken."""
        self._losses.append(loss)
        self._penalties.append(penalty)
        self.samples += samples
        self.seconds += seconds
        self._block_weights.append(self._all(self._method.parameters))

    def result(self, parameters: Tensor) -> SearchResult:
        """With these parameters [p] as what was found."""
        model = self._method.model() if self._losses else None
        path = PenaltyPath(model, self._rates.parameter_of, self._rates.constant) if model is not None else None
        values = self._all(parameters)
        stderr = path.stderr(parameters) if path is not None else torch.full_like(values, float("nan"))
        return SearchResult(
            block_weights=block_weights_of(self._layouts, values, stderr),
            history=History(
                block_weights=torch.stack(self._block_weights).float(),
                loss=torch.tensor(self._losses),
                penalty=torch.tensor(self._penalties),
            ),
            settings=self._settings,
            samples=self.samples,
            seconds=self.seconds,
            prediction=self._prediction,
            penalty_path=path,
        )

    def _all(self, parameters: Tensor) -> Tensor:
        return self._rates.all_rates(parameters)

    def state_dict(self) -> dict:
        return {
            "block_weights": torch.stack(self._block_weights),
            "losses": torch.tensor(self._losses, dtype=torch.float64),
            "penalties": torch.tensor(self._penalties, dtype=torch.float64),
            "samples": self.samples,
            "seconds": self.seconds,
        }

    def load_state_dict(self, state: dict) -> None:
        self._block_weights = list(state["block_weights"])
        self._losses, self._penalties = state["losses"].tolist(), state["penalties"].tolist()
        self.samples, self.seconds = state["samples"], state["seconds"]

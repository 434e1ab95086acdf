"""The way of a search so far, and results made of it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ..gradients.batch import Gradients
from ..gradients.rates import Rates
from ..loras.layout import LoraLayout
from ..settings import SearchSettings
from .methods import Method
from .penalty_path import PenaltyPath
from .result import History, SearchResult, block_weights_of


class Record:
    """Block weights, losses and penalties of every step. ``samples``, ``seconds``: in all so far; ``losses``: of each step."""

    def __init__(
        self, rates: Rates, layouts: Sequence[LoraLayout], settings: SearchSettings, method: Method, prediction: str
    ):
        self._rates, self._layouts, self._settings = rates, layouts, settings
        self._method, self._prediction = method, prediction
        self._has_effect = torch.zeros(len(rates), dtype=torch.bool)
        self._block_weights = [self.all_rates(method.parameters)]
        self.losses: list[float] = []
        self._penalties: list[float] = []
        self.samples, self.seconds = 0, 0.0

    @property
    def steps(self) -> int:
        return len(self.losses)

    @property
    def block_weights(self) -> Tensor:
        """[LoRAs, blocks] after the last step."""
        return self._block_weights[-1]

    def add(self, batch: Gradients, penalty: float, seconds: float) -> None:
        """A step that the method has taken, with this batch."""
        self._has_effect |= (batch.gradients != 0).any(0) | (batch.probes != 0).any(0)
        self.losses.append(float(batch.losses.mean()))
        self._penalties.append(penalty)
        self.samples += len(batch.losses)
        self.seconds += seconds
        self._block_weights.append(self.all_rates(self._method.parameters))

    def result(self, parameters: Tensor) -> SearchResult:
        """With these parameters [p] as what was found."""
        model = self._method.model() if self.losses else None
        path = PenaltyPath(model, self._rates.parameter_of, self._rates.constant) if model is not None else None
        values = self.all_rates(parameters)
        stderr = path.stderr(parameters) if path is not None else torch.full_like(values, float("nan"))
        return SearchResult(
            block_weights=block_weights_of(self._layouts, values, stderr),
            history=History(
                block_weights=torch.stack(self._block_weights).float(),
                loss=torch.tensor(self.losses),
                penalty=torch.tensor(self._penalties),
            ),
            settings=self._settings,
            samples=self.samples,
            seconds=self.seconds,
            prediction=self._prediction,
            penalty_path=path,
            notes=self._notes(),
            rules=self._rates.rules,
        )

    def all_rates(self, parameters: Tensor) -> Tensor:
        """[LoRAs, blocks]. A parameter without any effect so far stays at its start, wherever the penalty has moved it."""
        return self._rates.all_rates(torch.where(self._has_effect, parameters, self._rates.start))

    def _notes(self) -> tuple[str, ...]:
        """Which rates nothing depends on."""
        if not self.losses or self._has_effect.all():
            return ()
        parameter_of = self._rates.parameter_of
        without = (parameter_of >= 0) & ~self._has_effect[parameter_of.clamp(min=0)]
        notes = []
        for layout, row, searched in zip(self._layouts, without, (parameter_of >= 0).sum(1).tolist()):
            names = [block for block, is_without in zip(layout.architecture.blocks, row.tolist()) if is_without]
            if names:
                which = "all searched blocks have" if len(names) == searched else f"{', '.join(names)} {'has' if len(names) == 1 else 'have'}"
                notes.append(f"{layout.name}: {which} no effect on what the model predicts for these images: not searched, left at the start.")
        return tuple(notes)

    def state_dict(self) -> dict:
        return {
            "block_weights": torch.stack(self._block_weights),
            "losses": torch.tensor(self.losses, dtype=torch.float64),
            "penalties": torch.tensor(self._penalties, dtype=torch.float64),
            "has_effect": self._has_effect,
            "samples": self.samples,
            "seconds": self.seconds,
        }

    def load_state_dict(self, state: dict) -> None:
        self._block_weights = list(state["block_weights"])
        self.losses, self._penalties = state["losses"].tolist(), state["penalties"].tolist()
        self._has_effect = state["has_effect"]
        self.samples, self.seconds = state["samples"], state["seconds"]

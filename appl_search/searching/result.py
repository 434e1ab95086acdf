"""What a search found, how it got there, and both as JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..comparing.ablation import Ablation
from ..comparing.comparison import Comparison
from ..comparing.findings import Finding, findings
from ..comparing.likeness import Likeness
from ..comparing.verdict import Verdict, verdict
from ..loras.layout import LoraLayout
from ..loras.rules import BlockRules
from ..settings import SearchSettings
from ..weights.block_weights import BlockWeights
from ..weights.fields import Fields, read_json, wrong
from ..weights.registry import shortened
from .penalty_path import PenaltyPath, Solution

SCHEMA = "appl-search/1"


@dataclass(frozen=True)
class History:
    """The way of a search, in fp32.

    ``block_weights`` [steps + 1, LoRAs, blocks]: before the first and after each step. ``loss`` [steps]:
    each batch's denoising loss, without the penalty. ``penalty`` [steps]: sum |rate|, negative ones
    with their extra weight, at the rates that the batch was evaluated at, before the factor
    ``SearchSettings.penalty``.
    """

    block_weights: Tensor
    loss: Tensor
    penalty: Tensor


@dataclass(frozen=True)
class PathPoint:
    """Block weights that the search's model gives for another penalty, and the denoising loss predicted there."""

    penalty: float
    predicted_loss: float
    block_weights: tuple[BlockWeights, ...]


@dataclass(frozen=True)
class SearchResult:
    """Block weights of each LoRA, in the order they were given, and everything to tell how they came about.

    ``samples``: draws used. ``seconds``: of the search alone. ``prediction``: eps, v, edm, x0 or flow.
    ``penalty_path``: of a method with a model of the loss, else None. ``notes``: what else there is to know, in sentences.
    ``comparison``: of what was found with what everybody can have without a search; None where it was not made, and for
    other penalties than the search's. ``ablation``: what each block does, ``likeness``: which do the same; None as for ``comparison``.
    ``rules``: of each LoRA, which rates were fixed or tied; () for none at all.
    """

    block_weights: tuple[BlockWeights, ...]
    history: History
    settings: SearchSettings
    samples: int
    seconds: float
    prediction: str
    penalty_path: PenaltyPath | None = None
    notes: tuple[str, ...] = ()
    comparison: Comparison | None = None
    rules: tuple[BlockRules, ...] = ()
    ablation: Ablation | None = None
    likeness: Likeness | None = None

    def __post_init__(self) -> None:
        if not self.rules:
            object.__setattr__(self, "rules", tuple(BlockRules.none(weights.layout.architecture) for weights in self.block_weights))

    def path(self, points: int = 40) -> list[PathPoint]:
        """Block weights over a grid of penalties, from 0 to the one that switches all off.

        From the search's last quadratic model, without another look at the images; empty for a method
        that has no such model.
        """
        solutions = self.penalty_path.grid(points) if self.penalty_path is not None else []
        return [PathPoint(s.penalty, s.predicted_loss, self._weights(s)) for s in solutions]

    def at_penalty(self, penalty: float) -> SearchResult:
        """This result with the block weights for another penalty. ValueError where :meth:`path` is empty."""
        if self.penalty_path is None:
            raise ValueError(f"A search by {self.settings.method} has no path of penalties. Use the method gauss-newton.")
        weights = self._weights(self.penalty_path.at(penalty))
        settings = replace(self.settings, penalty=penalty)
        return replace(self, block_weights=weights, settings=settings, comparison=None, ablation=None, likeness=None)

    @property
    def verdict(self) -> Verdict | None:
        """Whether what was found is better than what everybody can have; None without a comparison."""
        return verdict(self.comparison) if self.comparison is not None else None

    @property
    def findings(self) -> list[Finding]:
        """What the blocks do, in a few sentences; empty where nothing is known of it."""
        names, rates = ([getattr(weights, what) for weights in self.block_weights] for what in ("name", "values"))
        return findings(self.ablation, self.likeness, names, self.block_weights[0].blocks, rates)

    def _weights(self, solution: Solution) -> tuple[BlockWeights, ...]:
        layouts = [weights.layout for weights in self.block_weights]
        return block_weights_of(layouts, solution.values, solution.stderr)

    def to_json(self) -> str:
        """All of the result as JSON that people can read: rates by block name, one line per step."""
        data = {
            "schema": SCHEMA,
            "loras": [weights.to_dict() for weights in self.block_weights],
            "settings": self.settings.to_dict(),
            "samples": self.samples,
            "seconds": self.seconds,
            "prediction": self.prediction,
            "notes": list(self.notes),
            "comparison": self.comparison.to_dict() if self.comparison is not None else None,
            "ablation": self.ablation.to_dict() if self.ablation is not None else None,
            "likeness": self.likeness.to_dict() if self.likeness is not None else None,
            "rules": [rules.text() for rules in self.rules],
            "penalty_path": self.penalty_path.to_dict() if self.penalty_path is not None else None,
            "history": {
                "loss": self.history.loss.tolist(),
                "penalty": self.history.penalty.tolist(),
                "block_weights": self.history.block_weights.tolist(),
            },
        }
        return re.sub(r"\[[^\[\]{}]*\]", lambda row: re.sub(r"\s+", " ", row[0]), json.dumps(data, indent=2, allow_nan=False))

    @classmethod
    def from_json(cls, text: str) -> SearchResult:
        """The inverse of :meth:`to_json`. Raises ValueError for anything else, saying what is wrong."""
        data = read_json(text)
        schema = data.get("schema") if isinstance(data, dict) else None
        if schema != SCHEMA:
            shown = shortened(schema) if isinstance(schema, str) else repr(schema)[:60]
            raise ValueError(f"The saved result has schema {shown}, expected {SCHEMA!r}. It was not written by this version of the pack.")
        fields = Fields(data)
        weights = tuple(BlockWeights.from_fields(lora) for lora in fields.objects("loras"))
        if len({each.layout.architecture.name for each in weights}) > 1:
            raise ValueError("loras are for different architectures. Expected LoRAs that were searched together.")
        shape = (len(weights), len(weights[0].values))
        path = PenaltyPath.from_fields(fields.object("penalty_path"), shape) if fields.has("penalty_path") else None
        return cls(
            block_weights=weights,
            history=_history(fields.object("history"), shape),
            settings=_settings(fields.object("settings")),
            samples=fields.whole("samples", 0, 2**63),
            seconds=fields.number("seconds", 0),
            prediction=fields.text("prediction", 40),
            penalty_path=path,
            notes=fields.texts("notes") if fields.has("notes") else (),
            comparison=Comparison.from_fields(fields.object("comparison")) if fields.has("comparison") else None,
            rules=_rules(fields, weights) if fields.has("rules") else (),
            ablation=Ablation.from_fields(fields.object("ablation"), shape) if fields.has("ablation") else None,
            likeness=Likeness.from_fields(fields.object("likeness"), shape) if fields.has("likeness") else None,
        )


def _rules(fields: Fields, weights: Sequence[BlockWeights]) -> tuple[BlockRules, ...]:
    """Those of each LoRA; results of version 0.1.0 have none."""
    texts = fields.texts("rules", 4000)
    if len(texts) != len(weights):
        raise wrong(fields.place("rules"), fields.list("rules"), f"a list of {len(weights)}")
    return tuple(BlockRules.parse(text, each.layout.architecture) for text, each in zip(texts, weights))


def _history(fields: Fields, shape: tuple[int, int]) -> History:
    """``shape``: LoRAs, blocks."""
    loss = fields.tensor("loss", [None], torch.float32)
    penalty = fields.tensor("penalty", [len(loss)], torch.float32)
    return History(block_weights=fields.tensor("block_weights", [len(loss) + 1, *shape], torch.float32), loss=loss, penalty=penalty)


def _settings(fields: Fields) -> SearchSettings:
    try:
        return SearchSettings.from_dict(dict(fields.items()))
    except (ValueError, TypeError) as error:
        raise ValueError(f"settings: {str(error)[:300]}") from error


def block_weights_of(layouts: Iterable[LoraLayout], values: Tensor, stderr: Tensor) -> tuple[BlockWeights, ...]:
    """[LoRAs, blocks] rates and standard errors -> one set of block weights for each LoRA."""
    return tuple(BlockWeights(*parts) for parts in zip(layouts, values.tolist(), stderr.tolist()))

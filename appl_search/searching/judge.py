"""What a search ends with, judged on draws that it has not used: the penalty chosen, and what was found compared."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Size, Tensor

from ..comparing.comparison import HELD_OUT, IN_TURN, SEARCHED, Candidate, Comparison
from ..gradients.draws import CHOICE, COMPARISON, Draws
from ..gradients.rates import Rates
from ..settings import SearchSettings
from .candidates import Losses, Part, candidates_of, compared, losses_of
from .held_out import Split
from .methods.quadratic import Quadratic
from .penalty_path import PenaltyPath

#: Penalties to choose from, as parts of the one that switches every block off.
PENALTIES = (1e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1)


class Judge:
    """Judges what a search found on draws that it has not used.

    ``shapes``: of all examples' latents. ``losses``: of :func:`losses_of`. ``all_rates(parameters [p])`` [LoRAs, blocks].
    ``samples``: how many draws each judgement takes.
    """

    def __init__(
        self, *, rates: Rates, settings: SearchSettings, split: Split, shapes: Sequence[Size], losses: Losses,
        all_rates: Callable[[Tensor], Tensor], samples: int,
    ):  # fmt: skip
        self._rates, self._settings, self._split, self._shapes = rates, settings, split, shapes
        self._losses, self._all_rates, self._samples = losses, all_rates, samples

    def penalty(self, model: Quadratic, without_folds: Sequence[Quadratic]) -> float:
        """The penalty whose block weights are best for the folds that they were made without.

        ``model``: of all folds, which says what penalties there are to choose from.
        """
        penalties = self._penalties(model)
        parts = [
            Part(frozenset(fold), [self._all_rates(each.minimum(penalty, each.center)) for penalty in penalties])
            for fold, each in zip(self._split.folds, without_folds)
        ]
        losses, _ = losses_of(parts, self._draws(CHOICE, parts), self._losses)
        return penalties[int(losses.mean(1).nan_to_num(math.inf).argmin())]

    def comparison(
        self, found: Tensor, single: Sequence[float], penalty: float, without_folds: Sequence[Quadratic]
    ) -> tuple[Comparison | None, list[str]]:
        """Of what was found [p] and the best ``single`` strengths with the others, on pictures that it has not seen; and notes.

        These are the pictures held out. Where they are too few to say what to expect of others, each fold of those searched counts
        too, with what ``without_folds`` say at ``penalty``. Without both: the pictures of the search.
        """
        of_all = candidates_of(self._rates, self._all_rates(found), single)
        parts = [_part(self._split.held_out, of_all)] if self._split.held_out else []
        seen = HELD_OUT if parts else SEARCHED
        if without_folds and not self._split.holds_out_enough:
            parts += [self._of_fold(fold, each, penalty) for fold, each in zip(self._split.folds, without_folds)]
            seen = IN_TURN
        parts = parts or [_part(self._split.searched, of_all)]
        losses, examples = losses_of(parts, self._draws(COMPARISON, parts), self._losses)
        pictures = torch.tensor(self._split.pictures)[examples]
        return compared([candidate for candidate, _ in of_all], losses, pictures, seen)

    def _of_fold(self, fold: Sequence[int], model: Quadratic, penalty: float) -> Part:
        path = PenaltyPath(model, self._rates.parameter_of, self._rates.constant)
        found = self._all_rates(model.minimum(penalty, model.center))
        return _part(fold, candidates_of(self._rates, found, path.best_single().strengths))

    def _penalties(self, model: Quadratic) -> list[float]:
        """The given one, none, and some up to the one that switches every block off."""
        most = max(model.largest_penalty(), 0.0)
        return sorted({0.0, self._settings.penalty, *(most * part for part in PENALTIES)})

    def _draws(self, purpose: str, parts: Sequence[Part]) -> Draws:
        settings = self._settings
        pictures = sorted(frozenset().union(*(part.examples for part in parts)))
        return Draws(self._shapes, self._samples, settings.batch_size, settings.seed, purpose, settings.levels, pictures)


def _part(examples: Sequence[int], candidates: Sequence[tuple[Candidate, Tensor]]) -> Part:
    return Part(frozenset(examples), [rates for _, rates in candidates])

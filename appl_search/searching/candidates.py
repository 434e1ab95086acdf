"""What a search is compared with, and the losses of all of them on the same draws."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..comparing.comparison import Candidate, Comparison, has_interval
from ..comparing.verdict import strengths_in_words
from ..gradients.draws import Draw
from ..gradients.rates import Rates

Losses = Callable[[Draw, Tensor], Tensor]


@dataclass(frozen=True)
class Part:
    """Pictures, and candidates that have not seen them.

    ``examples``: positions in the epoch. ``rates``: [LoRAs, blocks] of each candidate, in the order of the other parts.
    """

    examples: frozenset[int]
    rates: Sequence[Tensor]


def losses_of(parts: Sequence[Part], draws: Iterable[Draw], losses: Losses) -> tuple[Tensor, Tensor]:
    """Losses [c, samples] of the candidates and the example of each sample [samples].

    ``losses(draw, rates)`` [b]: of one batch. All candidates see the same draws, which are of examples of the parts.
    """
    seen, examples = [], []
    for draw in draws:
        for part in parts:
            rows = [row for row, example in enumerate(draw.indices.tolist()) if example in part.examples]
            if rows:
                of_part = draw.of(rows)
                seen.append(torch.stack([losses(of_part, rates) for rates in part.rates]))
                examples.append(of_part.indices)
    return torch.cat(seen, dim=1), torch.cat(examples)


def candidates_of(rates: Rates, found: Tensor, single: Sequence[float]) -> list[tuple[Candidate, Tensor]]:
    """What was found [LoRAs, blocks], and what everybody can have without a search, with the best ``single`` strengths last.

    The start is left out where it is one of the others; which candidates there are does not depend on what was found.
    """
    loras = len(rates.layouts)
    ones, start = rates.penalized.double(), rates.all_rates(rates.start)
    listed = [(Candidate("no LoRA", (0.0,) * loras), torch.zeros_like(start)), (_of_strengths((1.0,) * loras), ones)]
    if not any(torch.equal(start, values) for _, values in listed):
        listed.append((Candidate("the start", strengths_of(start, rates)), start))
    best = uniform(single, rates)
    named = Candidate(f"the best single {strengths_in_words(single)}", strengths_of(best, rates))  # rates that are fixed may differ
    return [(Candidate("found"), found), *listed, (named, best)]


def uniform(strengths: Sequence[float], rates: Rates) -> Tensor:
    """Rates [LoRAs, blocks] of one strength for all searched blocks of each LoRA; the fixed ones as they are."""
    each = torch.tensor(strengths, dtype=torch.float64)[:, None].expand_as(rates.constant)
    return torch.where(rates.parameter_of >= 0, each, rates.constant)


def compared(candidates: Sequence[Candidate], losses: Tensor, pictures: Tensor, seen: str) -> tuple[Comparison | None, list[str]]:
    """The comparison of ``losses`` [c, samples] and notes. ``pictures`` [samples]: which each sample is of.

    Candidates whose loss is not finite are left out; None where the first one's is not, and with too few samples.
    """
    if not has_interval(pictures):
        return None, [f"{len(pictures)} samples are too few to compare anything."]
    is_finite = losses.isfinite().all(1).tolist()
    notes = [
        f"The model overflows with {candidate.name}, so that is not in the comparison."
        for candidate, good in zip(candidates, is_finite) if not good
    ]  # fmt: skip
    if not is_finite[0]:
        return None, notes
    kept = [candidate for candidate, good in zip(candidates, is_finite) if good]
    return Comparison.of(kept, losses[torch.tensor(is_finite)], pictures, seen), notes


def _of_strengths(strengths: tuple[float, ...]) -> Candidate:
    return Candidate(strengths_in_words(strengths), strengths)


def strengths_of(values: Tensor, rates: Rates) -> tuple[float, ...] | None:
    """The one strength of each LoRA, where that is all there is to ``values``."""
    present = [row[there] for row, there in zip(values, rates.penalized)]
    if any(row.numel() and bool((row != row[0]).any()) for row in present):
        return None
    return tuple(float(row[0]) if row.numel() else 0.0 for row in present)

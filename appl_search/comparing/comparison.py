"""Mean losses of several choices of block weights on the same draws, and their differences with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from scipy.special import stdtrit
from torch import Tensor

from ..weights.fields import Fields, wrong

#: What the pictures of a comparison are to the choices: kept out of the search; each kept out in turn, so that the choice is one
#: for each part of them; those that were searched on; or any, of which nothing is known.
HELD_OUT, IN_TURN, SEARCHED, GIVEN = SEEN = ("held out", "in turn", "searched", "given")
#: Probability that an interval holds the true difference.
CONFIDENCE = 0.95
#: From so many pictures on an interval says what to expect of others like them; below, it is about these pictures alone.
ENOUGH_PICTURES = 5


@dataclass(frozen=True)
class Candidate:
    """A choice of block weights: its name, and the strength of each LoRA where one strength is all there is to it."""

    name: str
    strengths: tuple[float, ...] | None = None


@dataclass(frozen=True)
class Comparison:
    """Losses of candidates on the same draws.

    ``losses`` [c]: means. ``difference`` [c, c]: by how much the loss of the row is above that of the column; ``error``
    [c, c]: half the width of its 95% interval. ``samples``, ``pictures``: how many. ``seen``: one of ``SEEN``. ``notes``: what
    else there is to know of how the model was asked, in sentences.
    """

    candidates: tuple[Candidate, ...]
    losses: Tensor
    difference: Tensor
    error: Tensor
    samples: int
    pictures: int
    seen: str = GIVEN
    notes: tuple[str, ...] = ()

    @classmethod
    def of(cls, candidates: Sequence[Candidate], losses: Tensor, pictures: Tensor, seen: str = GIVEN) -> Comparison:
        """``losses`` [c, samples], each sample's draw the same for all candidates; ``pictures`` [samples]: which it is of."""
        means = losses.mean(1)
        apart = losses[:, None] - losses[None]
        return cls(
            candidates=tuple(candidates),
            losses=means,
            difference=apart.mean(2),
            error=half_width(apart, pictures),
            samples=losses.shape[1],
            pictures=len(pictures.unique()),
            seen=seen,
        )

    @property
    def is_about_others(self) -> bool:
        """Whether the intervals hold for other pictures of the kind, not for these alone."""
        return self.pictures >= ENOUGH_PICTURES

    def to_dict(self) -> dict:
        return {
            "candidates": [{"name": each.name, "strengths": each.strengths and list(each.strengths)} for each in self.candidates],
            "losses": self.losses.tolist(),
            "difference": self.difference.tolist(),
            "error": self.error.tolist(),
            "samples": self.samples,
            "pictures": self.pictures,
            "seen": self.seen,
            "notes": list(self.notes),
        }

    @classmethod
    def from_fields(cls, fields: Fields) -> Comparison:
        """The inverse of :meth:`to_dict`. ValueError names the field that is wrong."""
        candidates = tuple(map(_candidate, fields.objects("candidates")))
        count = len(candidates)
        if (seen := fields.text("seen", 40)) not in SEEN:
            raise wrong(fields.place("seen"), seen, f"one of {', '.join(SEEN)}")
        return cls(
            candidates=candidates,
            losses=fields.tensor("losses", [count]),
            difference=fields.tensor("difference", [count, count]),
            error=fields.tensor("error", [count, count]),
            samples=fields.whole("samples", 1, 2**63),
            pictures=fields.whole("pictures", 1, 2**63),
            seen=seen,
            notes=fields.texts("notes") if fields.has("notes") else (),
        )


def _candidate(fields: Fields) -> Candidate:
    strengths = fields.tensor("strengths", [None]).tolist() if fields.has("strengths") else None
    return Candidate(fields.text("name"), strengths and tuple(strengths))


def has_interval(pictures: Tensor) -> bool:
    """Whether samples of these pictures [samples] are enough for :func:`half_width`."""
    return len(pictures.unique()) >= ENOUGH_PICTURES or len(pictures) > len(pictures.unique())


def half_width(values: Tensor, pictures: Tensor) -> Tensor:
    """Half the width of the 95% interval of the mean of ``values`` [..., samples]. ``pictures`` [samples]: which each is of.

    With enough pictures, from the spread of the pictures' means by Student's t, since samples of one picture are alike (Liang
    and Zeger, 1986, with clusters of equal size). With fewer, from the spread of the samples within each picture: what other
    draws for these pictures would change.
    """
    number, counts = pictures.unique(return_inverse=True, return_counts=True)[1:]
    groups = len(counts)
    sums = torch.zeros(*values.shape[:-1], groups, dtype=values.dtype).index_add_(-1, number, values)
    if groups >= ENOUGH_PICTURES:
        # A picture's part of the mean, as far as it is not its share: n_i (m_i - m) / n.
        parts = (sums - counts * values.mean(-1, keepdim=True)) / len(pictures)
        variance = parts.square().sum(-1) * groups / (groups - 1)
        return variance.sqrt() * _t(groups - 1)
    within = values - (sums / counts)[..., number]
    freedom = len(pictures) - groups
    return (within.square().sum(-1) / freedom / len(pictures)).sqrt() * _t(freedom)


def _t(freedom: int) -> float:
    return float(stdtrit(freedom, 0.5 + CONFIDENCE / 2))

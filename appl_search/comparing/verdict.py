"""Whether what a search found is better than what everybody can have without one, in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .comparison import SEARCHED, Candidate, Comparison

#: Unknown: better, but only for the pictures that were searched on.
BETTER, SAME, WORSE, UNKNOWN = "better", "same", "worse", "unknown"


@dataclass(frozen=True)
class Verdict:
    """``kind``: better, same, worse or unknown; also which of ``SENTENCES`` says it, with ``values``.

    ``instead``: the simpler choice to use, where the search brought nothing.
    """

    kind: str
    values: Mapping[str, str | int]
    instead: Candidate | None

    @property
    def text(self) -> str:
        where = PICTURES[self.values["where"]].format_map(self.values)
        return SENTENCES[self.kind].format_map({**self.values, "where": where})


SENTENCES = {
    "better": "Better than {other} by {percent}% ± {error}% {where}.",
    "same": "Not better than {other} ({percent}% ± {error}% {where}): use that.",
    "worse": "Worse than {other} by {percent}% ± {error}% {where}: use that.",
    "unknown": "Closer than {other} by {percent}% ± {error}% {where}. Whether other pictures come out better, more pictures can tell.",
}
#: What the comparison was made on; "where" in the sentences.
PICTURES = {
    "held out": "on {pictures} pictures that the search has not seen",
    "held out, one": "on a picture that the search has not seen",
    "in turn": "on {pictures} pictures, each by what the search knows without it",
    "searched": "on the {pictures} pictures that were searched on, with other noise",
    "searched, one": "on the one picture that was searched on, with other noise",
    "given": "on {pictures} pictures",
    "given, one": "on one picture",
}


def verdict(comparison: Comparison) -> Verdict:
    """Of the first candidate against the one of the others that has the lowest loss: nobody would take another.

    It is better where the whole interval of its difference to that one is on its side. Where it is not, and no LoRA at all may be
    as good as that one, that is named. On pictures that were searched on, better says nothing.
    """
    above, error = comparison.difference[:, 0].tolist(), comparison.error[:, 0].tolist()  # others above the first
    others = range(1, len(comparison.candidates))
    nearest = min(others, key=lambda other: above[other])
    kind = WORSE if above[nearest] + error[nearest] < 0 else SAME if above[nearest] <= error[nearest] else BETTER
    if kind != BETTER:
        for other in others:
            as_good = comparison.difference[other, nearest] <= comparison.error[other, nearest]
            is_said = above[other] + error[other] < 0 if kind == WORSE else above[other] <= error[other]
            if as_good and is_said and not any(comparison.candidates[other].strengths or (1.0,)):
                nearest = other
    elif comparison.seen == SEARCHED:
        kind = UNKNOWN
    loss = float(comparison.losses[nearest])
    values = {
        "other": comparison.candidates[nearest].name,
        "percent": f"{(-1 if kind == WORSE else 1) * 100 * above[nearest] / loss:.1f}",
        "error": f"{100 * error[nearest] / loss:.1f}",
        "pictures": comparison.pictures,
        "where": _where(comparison),
    }
    return Verdict(kind, values, None if kind in (BETTER, UNKNOWN) else comparison.candidates[nearest])


def _where(comparison: Comparison) -> str:
    single = f"{comparison.seen}, one"
    return single if comparison.pictures == 1 and single in PICTURES else comparison.seen


def strengths_in_words(strengths: Sequence[float]) -> str:
    """Strengths of the LoRAs, for the name of a candidate."""
    if len(strengths) == 1:
        return f"strength {strengths[0]:.2f}"
    return f"strengths {', '.join(f'{strength:.2f}' for strength in strengths)}"

"""Which of several choices is best, and which others may be as good, in words."""

from __future__ import annotations

from collections.abc import Sequence

from .comparison import Comparison


def order(comparison: Comparison) -> list[int]:
    """The candidates' numbers, the lowest loss first."""
    return comparison.losses.argsort(stable=True).tolist()


def ranking(comparison: Comparison) -> str:
    """A sentence on the best candidate, and on those whose difference to it may be none."""
    best, *others = order(comparison)
    as_good = [other for other in others if comparison.difference[other, best] <= comparison.error[other, best]]
    pictures = "1 picture" if comparison.pictures == 1 else f"{comparison.pictures} pictures"
    what = f"{comparison.samples} samples of {pictures}"
    if comparison.is_about_others:
        what += "; the intervals hold for other pictures like these"
    else:
        what += "; the intervals are of the draws: they hold for these pictures, with few pictures not for others"
    names = _listed([comparison.candidates[other].name for other in as_good])
    also = f" {names} may be as good: more samples or pictures can tell." if as_good else " It is better than all others." if others else ""
    return f"Lowest loss: {comparison.candidates[best].name}.{also} ({what}.)"


def ranking_table(comparison: Comparison) -> list[str]:
    """A line for each candidate, the lowest loss first, by how much it is above the best in percent; then every pair of more than two."""
    numbers = order(comparison)
    best, widest = numbers[0], max(len(candidate.name) for candidate in comparison.candidates)
    lines = []
    for number in numbers:
        above = "" if number == best else f"  {_percent(comparison, number, best)}"
        lines.append(f"{comparison.candidates[number].name:{widest}}  {float(comparison.losses[number]):.5f}{above}")
    if len(numbers) > 2:
        pairs = [(one, other) for place, one in enumerate(numbers) for other in numbers[place + 1 :]]
        names = {number: comparison.candidates[number].name for number in numbers}
        lines += ["", "In pairs, the second against the first:"]
        lines += [f"{names[one]:{widest}}  {names[other]:{widest}}  {_percent(comparison, other, one)}" for one, other in pairs]
    return lines


def _percent(comparison: Comparison, number: int, base: int) -> str:
    loss = float(comparison.losses[base])
    above, error = (100 * float(of[number, base]) / loss for of in (comparison.difference, comparison.error))
    return f"{above:+.2f}% ± {error:.2f}%"


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}" if names else ""

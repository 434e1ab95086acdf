"""Figures of choices compared: by how much each loss is above another, with intervals."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..comparing.comparison import Comparison
from ..comparing.ranking import order
from .drawing import SMALL, THEMES, Theme, new_figure, note, short, style

_WIDEST = 20  # characters of a name in one line


def draw_comparison(comparison: Comparison, theme: str, width: float, height: float) -> Figure:
    """All candidates against the best one, the lowest loss first. ``width``, ``height``: in inches."""
    colors = THEMES[theme]
    canvas = new_figure(colors, width, height)
    (axes,) = canvas.subplots(1, 1, squeeze=False)[:, 0]
    style(axes, colors, "Losses compared")
    numbers = order(comparison)
    comparison_axes(axes, colors, comparison, numbers[0], numbers)
    return canvas


def comparison_axes(axes: Axes, theme: Theme, comparison: Comparison, base: int, numbers: Sequence[int]) -> None:
    """By how many percent the losses of these candidates are above that of ``base``, from top to bottom."""
    scale = 100 / float(comparison.losses[base])
    axes.grid(False)
    axes.grid(axis="x", color=theme.line, linewidth=0.7)
    for height, number in enumerate(numbers):
        value, error = (scale * float(of[number, base]) for of in (comparison.difference, comparison.error))
        color = theme.quiet if abs(value) <= error else theme.series[0 if value > 0 else 1]
        axes.errorbar([value], [height], xerr=[error], fmt="o", color=color, ecolor=color, elinewidth=2, capsize=4, markersize=6)
    axes.axvline(0, color=theme.text, linewidth=1.0)
    axes.set_yticks(range(len(numbers)), [textwrap.fill(short(comparison.candidates[number].name), _WIDEST) for number in numbers])
    axes.set_ylim(len(numbers) - 0.4, -0.6)
    name = short(comparison.candidates[base].name)
    axes.set_xlabel(f"% above the loss of {name}, with 95% intervals", color=theme.quiet, fontsize=SMALL)
    note(axes, theme, f"{comparison.samples} samples of {comparison.pictures} {'picture' if comparison.pictures == 1 else 'pictures'}")

"""Block weights as figures: bars, the loss curve, the path over penalties. Needs matplotlib."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullLocator
from matplotlib.transforms import ScaledTranslation

from ..architectures import Architecture
from ..searching.result import SearchResult
from .curves import running_mean

#: Okabe and Ito's colours, which colour-blind people tell apart: lighter ones for dark pages, darker ones for light.
_ON_DARK = ("#56b4e9", "#e69f00", "#2bbf93", "#d98ab8", "#f0e442", "#e8743b")
_ON_LIGHT = ("#0072b2", "#a86400", "#007a5a", "#a8437c", "#5a4fb5", "#b93c00")
_COLUMN, _BAR, _GAP = 1.0, 0.74, 0.6
_SMALL, _TITLE = 8, 10
_LONGEST_NAME = 44
_TWO_COLUMNS_FROM = 5.5  # inches


@dataclass(frozen=True)
class Theme:
    """Colours of a figure."""

    background: str
    text: str
    quiet: str
    line: str
    series: tuple[str, ...]


THEMES = {
    "light": Theme("#ffffff", "#1d1d1d", "#5c5c5c", "#d9d9d9", _ON_LIGHT),
    "dark": Theme("#1e1e1e", "#ededed", "#a8a8a8", "#3d3d3d", _ON_DARK),
}


def bars(result: SearchResult, theme: Theme, rows: Sequence[Axes]) -> None:
    """A row of bars for each LoRA, on one scale; standard errors as whiskers; blocks that a LoRA lacks are grey columns."""
    architecture = result.block_weights[0].layout.architecture
    places = _places(architecture)
    for number, (axes, weights) in enumerate(zip(rows, result.block_weights)):
        _style(axes, theme, _short(weights.name))
        axes.sharey(rows[0])
        there = np.array(weights.present)
        values, errors = np.array(weights.values), np.nan_to_num(np.array(weights.stderr))
        for place in places[~there]:
            axes.axvspan(place - _COLUMN / 2, place + _COLUMN / 2, color=theme.line, alpha=0.6, linewidth=0, zorder=0)
        axes.bar(places[there], values[there], _BAR, color=theme.series[number % len(theme.series)], zorder=2)
        known = there & (errors > 0)
        for color, width in ((theme.background, 2.6), (theme.text, 1.1)):  # the wider one makes whiskers stand out in bars
            axes.errorbar(places[known], values[known], errors[known], fmt="none", ecolor=color, elinewidth=width, capthick=width, capsize=2.5, zorder=3)
        axes.axhline(0, color=theme.quiet, linewidth=0.8, zorder=4)
        axes.set_ylabel("rate", color=theme.quiet, fontsize=_SMALL)
        axes.set_xlim(places[0] - 0.8, places[-1] + 0.8)
        axes.set_xticks(places, _numbers(architecture))
        axes.tick_params(labelbottom=axes is rows[-1])
    for section in architecture.sections:
        ends = places[[section.blocks[0], section.blocks[-1]]]
        below = -15 if section.count > 1 else -4
        place = {"xycoords": ("data", "axes fraction"), "textcoords": "offset points", "annotation_clip": False}
        rows[-1].annotate(section.name, (ends.mean(), 0), (0, below), color=theme.text, fontsize=_SMALL, weight="bold", ha="center", va="top", **place)
    if not all(all(weights.present) for weights in result.block_weights):
        _note(rows[0], theme, "grey: not in this LoRA")


def _places(architecture: Architecture) -> np.ndarray:
    """Where each block's bar stands: a gap between sections."""
    return np.array([block * _COLUMN + number * _GAP for number, section in enumerate(architecture.sections) for block in section.blocks])


def _numbers(architecture: Architecture) -> list[str]:
    """The number of each block within its section; BASE and MID are alone in theirs."""
    return [str(number) if section.count > 1 else "" for section in architecture.sections for number in range(section.count)]


def loss(result: SearchResult, theme: Theme, rows: Sequence[Axes]) -> None:
    """Each batch's denoising loss and its running mean, and what the model predicts for the found and for single strengths."""
    (axes,) = rows
    _style(axes, theme, "Denoising loss by step")
    values = result.history.loss.numpy()
    steps = np.arange(1, len(values) + 1)
    axes.plot(steps, values, color=theme.quiet, linewidth=0.8, alpha=0.8, label="each batch")
    axes.plot(steps, running_mean(values), color=theme.series[0], linewidth=2, label="running mean")
    if result.penalty_path is not None:
        single = result.penalty_path.best_single()
        strengths = ", ".join(f"{strength:.2f}" for strength in single.strengths)
        axes.axhline(single.predicted_loss, color=theme.series[1], linestyle="--", linewidth=1.6, label=f"best single strength ({strengths}): {single.predicted_loss:.4g} predicted")
        found = result.penalty_path.at(result.settings.penalty).predicted_loss
        axes.axhline(found, color=theme.series[2], linestyle="-.", linewidth=1.6, label=f"these block weights: {found:.4g} predicted")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    _legend(axes, theme, 19)


def penalty_path(result: SearchResult, theme: Theme, rows: Sequence[Axes]) -> None:
    """Rates and predicted loss over the penalty, from faithful to few blocks."""
    above, below = rows
    points = result.path()[1:]  # the first is penalty 0, which a logarithmic axis has no place for
    penalties = [point.penalty for point in points]
    rates = np.array([[weights.values for weights in point.block_weights] for point in points])
    for axes, title in ((above, "Rates over the penalty"), (below, "Predicted loss over the penalty")):
        _style(axes, theme, title)
        axes.set_xscale("log")
        axes.set_xlim(penalties[0], penalties[-1])
        axes.xaxis.set_minor_locator(NullLocator())
        if penalties[0] < result.settings.penalty < penalties[-1]:
            axes.axvline(result.settings.penalty, color=theme.text, linestyle=":", linewidth=1.2)
    for number, weights in enumerate(result.block_weights):
        color = theme.series[number % len(theme.series)]
        searched = np.abs(rates[:, number]).max(0) > 0
        for line in rates[:, number].T[searched]:
            above.plot(penalties, line, color=color, linewidth=1.2, alpha=0.85)
        above.plot([], [], color=color, linewidth=2, label=_short(weights.name))
    above.tick_params(labelbottom=False)
    above.axhline(0, color=theme.quiet, linewidth=0.8, zorder=1)
    above.set_ylabel("rate", color=theme.quiet, fontsize=_SMALL)
    _legend(above, theme, 5)
    below.plot(penalties, [point.predicted_loss for point in points], color=theme.text, linewidth=1.8)
    below.set_xlabel("penalty (dotted: that of these block weights)", color=theme.quiet, fontsize=_SMALL)


FIGURES: dict[str, Callable[[SearchResult, Theme, Sequence[Axes]], None]] = {"bars": bars, "loss": loss, "penalty path": penalty_path}
ALL = "all"


def draw(result: SearchResult, figure: str, theme: str, width: float, height: float) -> Figure:
    """One of FIGURES, or "all" that the result has; ``width`` and ``height`` in inches, at 100 dots each.

    Raises ValueError for the penalty path of a result that has none.
    """
    if figure == "penalty path" and result.penalty_path is None:
        raise ValueError(f"A search by {result.settings.method} has no path of penalties. Plot another figure, or search with gauss-newton.")
    colors = THEMES[theme]
    canvas = Figure(figsize=(width, height), dpi=100, facecolor=colors.background, layout="constrained")
    canvas.get_layout_engine().set(w_pad=0.1, h_pad=0.1)
    names = [figure] if figure != ALL else figures_of(result)
    heights = {"bars": [1.0] * len(result.block_weights), "loss": [1.1], "penalty path": [1.6, 0.8]}
    # One grid for all, so that the figures begin and end at the same places.
    rows = list(canvas.subplots(sum(len(heights[name]) for name in names), 1, squeeze=False, height_ratios=[row for name in names for row in heights[name]])[:, 0])
    for name in names:
        count = len(heights[name])
        FIGURES[name](result, colors, rows[:count])
        del rows[:count]
    return canvas


def figures_of(result: SearchResult) -> list[str]:
    """Names of the figures that a result has; a method without a model has no penalty path."""
    return [name for name in FIGURES if name != "penalty path" or result.penalty_path is not None]


def _style(axes: Axes, theme: Theme, title: str) -> None:
    axes.set_facecolor(theme.background)
    axes.set_title(title, loc="left", color=theme.text, fontsize=_TITLE, weight="bold")
    axes.tick_params(colors=theme.quiet, labelsize=_SMALL, length=0)
    axes.grid(axis="y", color=theme.line, linewidth=0.7)
    axes.yaxis.set_major_locator(MaxNLocator(5))
    axes.set_axisbelow(True)
    for side, spine in axes.spines.items():
        spine.set_visible(side == "bottom")
        spine.set_color(theme.line)


def _note(axes: Axes, theme: Theme, text: str) -> None:
    axes.set_title(text, loc="right", color=theme.quiet, fontsize=_SMALL)


def _legend(axes: Axes, theme: Theme, below: float) -> None:
    """``below`` the axes by so many points, where it hides no line."""
    figure = axes.figure
    place = axes.transAxes + ScaledTranslation(0, -below / 72, figure.dpi_scale_trans)
    columns = 2 if figure.get_figwidth() >= _TWO_COLUMNS_FROM else 1
    axes.legend(fontsize=_SMALL, frameon=False, labelcolor=theme.text, loc="upper left", bbox_to_anchor=(0, 0), bbox_transform=place, borderaxespad=0, borderpad=0, ncols=columns)


def _short(name: str) -> str:
    """The beginning of a name, by which people know files, with no sign that matplotlib takes for a formula or a secret label."""
    text = name if len(name) <= _LONGEST_NAME else f"{name[:_LONGEST_NAME - 1]}\u2026"
    text = "".join(sign if sign.isprintable() else "\ufffd" for sign in text).replace("$", r"\$")
    return f" {text}" if text.startswith("_") else text

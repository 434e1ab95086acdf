"""Block weights as figures: bars, the loss curve, the path over penalties. Needs matplotlib."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .blocks import BLOCK_NAMES
from .result import SearchResult

#: Okabe and Ito's colours, which colour-blind people tell apart: lighter ones for dark pages, darker ones for light.
_ON_DARK = ("#56b4e9", "#e69f00", "#2bbf93", "#d98ab8", "#f0e442", "#e8743b")
_ON_LIGHT = ("#0072b2", "#a86400", "#007a5a", "#a8437c", "#5a4fb5", "#b93c00")
#: Where each block's bar stands: a gap between BASE, IN, MID and OUT.
_PLACES = np.array([0.0, *np.arange(1.6, 10.6), 11.2, *np.arange(12.8, 21.8)])
_SECTIONS = {"BASE": 0.0, "IN": 5.6, "MID": 11.2, "OUT": 16.8}
_RUNNING = 8


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


def bars(result: SearchResult, theme: Theme, figure: Figure) -> None:
    """A row of bars for each LoRA, with standard errors as whiskers; a cross where a LoRA has no keys."""
    rows = figure.subplots(len(result.block_weights), 1, sharex=True, squeeze=False)[:, 0]
    for number, (axes, weights) in enumerate(zip(rows, result.block_weights)):
        _style(axes, theme)
        there = np.array(weights.present)
        values, errors = np.array(weights.values), np.nan_to_num(np.array(weights.stderr))
        axes.bar(_PLACES[there], values[there], 0.78, color=theme.series[number % len(theme.series)], zorder=2)
        known = there & (errors > 0)
        axes.errorbar(_PLACES[known], values[known], errors[known], fmt="none", ecolor=theme.text, elinewidth=1.1, capsize=2.5, zorder=3)
        axes.plot(_PLACES[~there], np.zeros((~there).sum()), "x", color=theme.quiet, markersize=4, zorder=3)
        axes.axhline(0, color=theme.quiet, linewidth=0.8, zorder=1)
        axes.set_title(weights.name, loc="left", color=theme.text, fontsize=10)
        axes.set_ylabel("rate", color=theme.quiet, fontsize=8)
        axes.set_xlim(-0.8, _PLACES[-1] + 0.8)
    rows[-1].set_xticks(_PLACES, [name.lstrip("INOUTMDBASE0") or "0" if name[-1].isdigit() else "" for name in BLOCK_NAMES])
    for name, place in _SECTIONS.items():
        rows[-1].annotate(name, (place, 0), (0, -20), ("data", "axes fraction"), "offset points", color=theme.quiet, fontsize=8, ha="center", va="top")


def loss(result: SearchResult, theme: Theme, figure: Figure) -> None:
    """Each batch's denoising loss and its running mean, against the best that one strength per LoRA could do."""
    axes = figure.subplots()
    _style(axes, theme)
    values = result.history.loss.numpy()
    steps = np.arange(1, len(values) + 1)
    axes.plot(steps, values, color=theme.quiet, linewidth=0.8, label="batch")
    running = [values[max(0, step - _RUNNING) : step].mean() for step in steps]
    axes.plot(steps, running, color=theme.series[0], linewidth=2, label=f"mean of {_RUNNING} batches")
    if result.penalty_path is not None:
        single = result.penalty_path.best_single()
        strengths = ", ".join(f"{strength:.2f}" for strength in single.strengths)
        axes.axhline(single.predicted_loss, color=theme.series[1], linestyle="--", linewidth=1.6, label=f"best single strength ({strengths}), predicted")
    axes.set_xlabel("step", color=theme.quiet, fontsize=8)
    axes.set_title("Denoising loss", loc="left", color=theme.text, fontsize=10)
    _legend(axes, theme)


def penalty_path(result: SearchResult, theme: Theme, figure: Figure) -> None:
    """Rates and predicted loss over the penalty, from faithful to few blocks. ValueError for a search without a path."""
    points = result.path()
    if not points:
        raise ValueError(f"A search by {result.settings.method} has no path of penalties. Plot another figure, or search with gauss-newton.")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=[2, 1])
    # The first point is penalty 0, which a logarithmic axis has no place for.
    penalties = np.array([points[1].penalty / 2, *(point.penalty for point in points[1:])])
    rates = np.array([[weights.values for weights in point.block_weights] for point in points])
    for axes in (above, below):
        _style(axes, theme)
        axes.set_xscale("log")
    for number, weights in enumerate(result.block_weights):
        color = theme.series[number % len(theme.series)]
        searched = np.abs(rates[:, number]).max(0) > 0
        for line in rates[:, number].T[searched]:
            above.plot(penalties, line, color=color, linewidth=1.1, alpha=0.85)
        above.plot([], [], color=color, label=weights.name)
    above.set_title("Rates over the penalty (dotted: as searched)", loc="left", color=theme.text, fontsize=10)
    _legend(above, theme)
    below.plot(penalties, [point.predicted_loss for point in points], color=theme.text, linewidth=1.6)
    if result.settings.penalty > 0:
        for axes in (above, below):
            axes.axvline(result.settings.penalty, color=theme.quiet, linestyle=":", linewidth=1.2)
    below.set_ylabel("predicted loss", color=theme.quiet, fontsize=8)
    below.set_xlabel("penalty", color=theme.quiet, fontsize=8)


FIGURES: dict[str, Callable[[SearchResult, Theme, Figure], None]] = {"bars": bars, "loss": loss, "penalty path": penalty_path}
ALL = "all"


def draw(result: SearchResult, figure: str, theme: str, width: float, height: float) -> Figure:
    """One of FIGURES, or "all" that the result has; ``width`` and ``height`` in inches, at 100 dots each."""
    colors = THEMES[theme]
    canvas = Figure(figsize=(width, height), dpi=100, facecolor=colors.background, layout="constrained")
    canvas.get_layout_engine().set(w_pad=0.14, h_pad=0.1)
    if figure != ALL:
        FIGURES[figure](result, colors, canvas)
        return canvas
    names = [name for name in FIGURES if name != "penalty path" or result.penalty_path is not None]
    shares = {"bars": 1.2 * math.sqrt(len(result.block_weights)), "loss": 0.9, "penalty path": 1.4}
    parts = canvas.subfigures(len(names), 1, height_ratios=[shares[name] for name in names], squeeze=False)[:, 0]
    for name, part in zip(names, parts):
        part.set_facecolor(colors.background)
        FIGURES[name](result, colors, part)
    return canvas


def _style(axes: Axes, theme: Theme) -> None:
    axes.set_facecolor(theme.background)
    axes.tick_params(colors=theme.quiet, labelsize=8, length=0)
    axes.grid(axis="y", color=theme.line, linewidth=0.7)
    axes.set_axisbelow(True)
    for side, spine in axes.spines.items():
        spine.set_visible(side == "bottom")
        spine.set_color(theme.line)


def _legend(axes: Axes, theme: Theme) -> None:
    axes.legend(fontsize=8, frameon=False, labelcolor=theme.text, loc="best")

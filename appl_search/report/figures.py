"""Block weights as figures: bars, the loss curve, the path over penalties; and a look at a LoRA. Needs matplotlib."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullLocator, PercentFormatter

from ..loras.look import LoraLook
from ..loras.rules import Fixed
from ..searching.result import SearchResult
from . import insight
from .curves import running_mean
from .drawing import BAR, SMALL, THEMES, Theme, block_columns, legend, new_figure, short, style

_PALE = 0.4  # opacity


def bars(result: SearchResult, theme: Theme, rows: Sequence[Axes]) -> None:
    """A row of bars for each LoRA, on one scale; standard errors as whiskers; blocks that a LoRA lacks are grey columns.

    Bars of rates that were fixed are pale.
    """
    architecture = result.block_weights[0].layout.architecture
    fixed = np.array([[isinstance(rule, Fixed) for rule in rules.rules] for rules in result.rules])
    notes = ["pale: fixed"] if fixed.any() else []
    places = block_columns(rows, theme, architecture, [weights.present for weights in result.block_weights], notes)
    for number, (axes, weights) in enumerate(zip(rows, result.block_weights)):
        style(axes, theme, short(weights.name))
        axes.sharey(rows[0])
        there = np.array(weights.present)
        values, errors = np.array(weights.values), np.nan_to_num(np.array(weights.stderr))
        for shown, alpha in ((there & ~fixed[number], 1.0), (there & fixed[number], _PALE)):
            axes.bar(places[shown], values[shown], BAR, color=theme.series[number % len(theme.series)], alpha=alpha, zorder=2)
        known = there & (errors > 0)
        for color, width in ((theme.background, 2.6), (theme.text, 1.1)):  # the wider one makes whiskers stand out in bars
            axes.errorbar(places[known], values[known], errors[known], fmt="none", ecolor=color, elinewidth=width, capthick=width, capsize=2.5, zorder=3)
        axes.axhline(0, color=theme.quiet, linewidth=0.8, zorder=4)
        axes.set_ylabel("rate", color=theme.quiet, fontsize=SMALL)


def loss(result: SearchResult, theme: Theme, rows: Sequence[Axes]) -> None:
    """Each batch's denoising loss and its running mean, and what the model predicts for the found and for single strengths."""
    (axes,) = rows
    style(axes, theme, "Denoising loss by step")
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
    legend(axes, theme, 19)


def penalty_path(result: SearchResult, theme: Theme, rows: Sequence[Axes]) -> None:
    """Rates and predicted loss over the penalty, from faithful to few blocks."""
    above, below = rows
    points = result.path()[1:]  # the first is penalty 0, which a logarithmic axis has no place for
    penalties = [point.penalty for point in points]
    rates = np.array([[weights.values for weights in point.block_weights] for point in points])
    for axes, title in ((above, "Rates over the penalty"), (below, "Predicted loss over the penalty")):
        style(axes, theme, title)
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
        above.plot([], [], color=color, linewidth=2, label=short(weights.name))
    above.tick_params(labelbottom=False)
    above.axhline(0, color=theme.quiet, linewidth=0.8, zorder=1)
    above.set_ylabel("rate", color=theme.quiet, fontsize=SMALL)
    legend(above, theme, 5)
    below.plot(penalties, [point.predicted_loss for point in points], color=theme.text, linewidth=1.8)
    below.set_xlabel("penalty (dotted: that of these block weights)", color=theme.quiet, fontsize=SMALL)


@dataclass(frozen=True)
class Kind:
    """A figure. ``draw`` in as many axes as ``heights`` of a result are, in inches. ``missing``: why a result has none, or None."""

    draw: Callable[[SearchResult, Theme, Sequence[Axes]], None]
    heights: Callable[[SearchResult], list[float]]
    missing: Callable[[SearchResult], str | None] = lambda result: None


def _no_path(result: SearchResult) -> str | None:
    return None if result.penalty_path is not None else f"A search by {result.settings.method} has no path of penalties. Plot another figure, or search with gauss-newton."


def _no_blocks(result: SearchResult) -> str | None:
    return None if result.ablation is not None else (
        "What the blocks do is not known of these block weights: search with gauss-newton, or with ablation in Search Settings, and "
        "take the penalty of the search."
    )  # fmt: skip


def _no_likeness(result: SearchResult) -> str | None:
    return None if insight.alike_shown(result) else (
        "Which blocks do the same is known of searches by gauss-newton with two blocks or more that are on, at the penalty of the search."
    )  # fmt: skip


def _no_comparison(result: SearchResult) -> str | None:
    return None if result.comparison is not None else (
        "These block weights were not compared with others: search with a comparison (Search Settings), and take the penalty of the search."
    )  # fmt: skip


FIGURES: dict[str, Kind] = {
    "bars": Kind(bars, lambda result: [2.0] * len(result.block_weights)),
    "loss": Kind(loss, lambda result: [2.6]),
    "penalty path": Kind(penalty_path, lambda result: [3.2, 1.6], _no_path),
    "comparison": Kind(insight.comparison, lambda result: [1.8], _no_comparison),
    "blocks": Kind(insight.blocks, lambda result: [0.5 + 0.26 * len(result.ablation.groups)] * len(result.block_weights), _no_blocks),
    "likeness": Kind(insight.likeness, lambda result: [0.6 + 0.3 * len(insight.alike_shown(result))], _no_likeness),
}
ALL = "all"
_AROUND = 0.6  # inches above and below a figure
_LOWEST = 0.6  # of the height that figures are easily read at


def draw(result: SearchResult, figure: str, theme: str, width: float, height: float) -> Figure:
    """One of FIGURES, or "all" that the result has and there is room for; ``width`` and ``height`` in inches, at 100 dots each.

    Raises ValueError for a figure that the result has not, such as the penalty path of a method without a model.
    """
    if figure != ALL and (missing := FIGURES[figure].missing(result)):
        raise ValueError(missing)
    colors = THEMES[theme]
    canvas = new_figure(colors, width, height)
    kinds = [FIGURES[name] for name in ([figure] if figure != ALL else _with_room(result, height))]
    heights = [kind.heights(result) for kind in kinds]
    # One grid for all, so that the figures begin and end at the same places.
    rows = list(canvas.subplots(sum(map(len, heights)), 1, squeeze=False, height_ratios=[row for each in heights for row in each])[:, 0])
    for kind, each in zip(kinds, heights):
        kind.draw(result, colors, rows[: len(each)])
        del rows[: len(each)]
    return canvas


def figures_of(result: SearchResult) -> list[str]:
    """Names of the figures that a result has; a method without a model has no penalty path."""
    return [name for name, kind in FIGURES.items() if not kind.missing(result)]


def height_of(result: SearchResult, figure: str) -> float:
    """The height in inches that a figure, or all that the result has, is easily read at."""
    return _height(result, [figure] if figure != ALL else figures_of(result))


def _with_room(result: SearchResult, height: float) -> list[str]:
    """The figures that a result has, without the last ones where they would all be too low to be read."""
    names = figures_of(result)
    while len(names) > 1 and _LOWEST * _height(result, names) > height:
        names.pop()
    return names


def _height(result: SearchResult, names: Sequence[str]) -> float:
    return sum(sum(FIGURES[name].heights(result)) + _AROUND for name in names)


def draw_look(look: LoraLook, theme: str, width: float, height: float) -> Figure:
    """How much a LoRA changes each block: relative to the block's weights where those are known, else as a norm.

    Sizes as of :func:`draw`. Blocks of which the LoRA alone does not tell are marked.
    """
    colors = THEMES[theme]
    canvas = new_figure(colors, width, height)
    (axes,) = canvas.subplots(1, 1, squeeze=False)[:, 0]
    is_relative = any(block.relative is not None for block in look.blocks)
    sizes = [block.relative if is_relative else block.added for block in look.blocks]
    places = block_columns([axes], colors, look.layout.architecture, [look.layout.present])
    style(axes, colors, short(look.layout.name))
    known = [size is not None for size in sizes]
    axes.bar(places[known], [size for size in sizes if size is not None], BAR, color=colors.series[0], zorder=2)
    for place, block, size in zip(places, look.blocks, sizes):
        if block.keys and size is None:
            axes.annotate("?", (place, 0), (0, 3), textcoords="offset points", color=colors.text, fontsize=SMALL, ha="center")
    axes.set_ylabel("added, relative to the weights" if is_relative else "norm of what is added", color=colors.quiet, fontsize=SMALL)
    if is_relative:
        axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    canvas.supxlabel("how much a LoRA changes a block, not whether that is of use: only a search tells", color=colors.quiet, fontsize=SMALL)
    return canvas

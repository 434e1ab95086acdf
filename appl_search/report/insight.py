"""Figures of what blocks do: by ranges of timesteps, which do the same, and how what was found compares. Needs matplotlib."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, to_rgb
from matplotlib.patches import Rectangle

from ..comparing.ablation import OFF, PICTURES, TIMESTEPS, Ablation
from ..comparing.findings import MATTERS
from ..searching.result import SearchResult
from .comparison import comparison_axes
from .drawing import COLUMN, Theme, block_columns, note, short, style

_TINY = 6.5
_MOST_ALIKE = 10  # blocks in the matrix
_LABEL, _WIDEST = 10, 20  # characters of a LoRA's name beside a block's, and of a line beside the axes


def blocks(result: SearchResult, theme: Theme, rows: Sequence[Axes]) -> None:
    """A heat map for each LoRA: how much the loss rises without each block, in all and in each group of samples."""
    ablation = result.ablation
    groups = groups_shown(ablation)
    places = block_columns(rows, theme, result.block_weights[0].layout.architecture, [weights.present for weights in result.block_weights])
    relative = ablation.relative[:, OFF].numpy()
    sure = ablation.is_sure[:, OFF].numpy()
    largest = max(np.abs(relative).max(), 1e-12)
    colors = _diverging(theme)
    for lora, (axes, weights) in enumerate(zip(rows, result.block_weights)):
        style(axes, theme, short(weights.name) if lora else f"Rise of the loss without each block\n{short(weights.name)}")
        axes.grid(False)
        axes.set_yticks(range(len(groups)), [short(_cut(ablation.groups[group].name, _WIDEST)) for group in groups])
        axes.set_ylim(len(groups) - 0.5, -0.5)
        for number, unit in enumerate(ablation.units):
            if unit.lora != lora:
                continue
            for block in unit.blocks:
                for row, group in enumerate(groups):
                    _cell(axes, theme, places[block], row, relative[number, group], largest, colors, sure[number, group])
    note(rows[0], theme, f"%, numbers where sure; {_source(ablation)}")


def groups_shown(ablation: Ablation) -> list[int]:
    """All samples, the timesteps from the first that a sampler takes on, and the groups of pictures."""
    return [0, *reversed(ablation.of_kind(TIMESTEPS)), *ablation.of_kind(PICTURES)]


def likeness(result: SearchResult, theme: Theme, rows: Sequence[Axes]) -> None:
    """A matrix of the blocks that matter: the cosine between what they do."""
    (axes,) = rows
    style(axes, theme, "Blocks that are alike (1) or contrary (-1)")
    axes.grid(False)
    shown, found = alike_shown(result), result.likeness
    labels = [_label(result, number) for number in shown]
    axes.set_yticks(range(1, len(shown)), labels[1:])
    axes.set_xticks(range(len(shown) - 1), labels[:-1], rotation=35, ha="right")
    axes.set_xlim(-0.5, len(shown) - 1.5)
    axes.set_ylim(len(shown) - 0.5, 0.5)
    colors = _diverging(theme)
    for row, one in enumerate(shown):
        for column, other in enumerate(shown[:row]):
            value, error = float(found.cosine[one, other]), float(found.error[one, other])
            _cell(axes, theme, column, row, value, 1.0, colors, abs(value) > error, percent=False)
    note(axes, theme, "numbers: where sure")


def alike_shown(result: SearchResult) -> list[int]:
    """Which units the matrix is of, in their order: on, and of those that carry the most, or are the most alike. Empty for fewer than two."""
    found = result.likeness
    if found is None:
        return []
    on = [number for number, unit in enumerate(found.units) if any(result.block_weights[unit.lora].values[block] for block in unit.blocks)]
    wanted: list[int] = []
    if result.ablation is not None:
        share = dict(enumerate(result.ablation.share.nan_to_num(0.0).tolist()))
        wanted = [number for number in sorted(on, key=lambda number: -share.get(number, 0.0)) if share.get(number, 0.0) >= MATTERS]
    pairs = [number for one, other, cosine, error in found.pairs() if abs(cosine) > error for number in (one, other) if number in on]
    chosen = list(dict.fromkeys([*pairs[:4], *wanted, *pairs[4:]]))[:_MOST_ALIKE]
    return sorted(chosen) if len(chosen) > 1 else []


def comparison(result: SearchResult, theme: Theme, rows: Sequence[Axes]) -> None:
    """How much higher than with what was found the losses of the other candidates are, with their 95% intervals."""
    (axes,) = rows
    found = result.comparison
    style(axes, theme, "Losses of other choices")
    comparison_axes(axes, theme, found, 0, range(1, len(found.candidates)))


def _cell(
    axes: Axes, theme: Theme, x: float, y: float, value: float, largest: float, colors: LinearSegmentedColormap, is_sure: bool, percent: bool = True
) -> None:  # fmt: skip
    color = colors(0.5 + 0.5 * value / largest)
    axes.add_patch(Rectangle((x - COLUMN / 2, y - 0.5), COLUMN, 1, facecolor=color, edgecolor=theme.background, linewidth=0.8, zorder=2))
    if is_sure:
        dark = sum(color[:3]) < sum(to_rgb("#bbbbbb"))
        text = f"{100 * value:.2g}" if percent else f"{value:.2f}"
        axes.text(x, y, text, ha="center", va="center", fontsize=_TINY, color="#ffffff" if dark else "#1d1d1d", zorder=3)


def _diverging(theme: Theme) -> LinearSegmentedColormap:
    """From the second colour for what is below 0 to the first for what is above."""
    return LinearSegmentedColormap.from_list("rise", [theme.series[1], theme.background, theme.series[0]])


def _label(result: SearchResult, number: int) -> str:
    unit, weights = result.likeness.units[number], result.block_weights
    return short(unit.name([_cut(each.name, _LABEL) for each in weights], weights[0].blocks))


def _cut(name: str, most: int) -> str:
    return name if len(name) <= most else f"{name[: most - 1]}…"


def _source(ablation: Ablation) -> str:
    pictures = f"{ablation.pictures} {'picture' if ablation.pictures == 1 else 'pictures'}"
    return f"measured on {ablation.samples} samples of {pictures}" if ablation.is_measured else "by the search's own model"

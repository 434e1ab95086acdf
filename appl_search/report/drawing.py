"""How the figures look: colours, axes, and a place on the x axis for each block. Needs matplotlib."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from matplotlib.transforms import ScaledTranslation

from ..architectures import Architecture

#: Okabe and Ito's colours, which colour-blind people tell apart: lighter ones for dark pages, darker ones for light.
_ON_DARK = ("#56b4e9", "#e69f00", "#2bbf93", "#d98ab8", "#f0e442", "#e8743b")
_ON_LIGHT = ("#0072b2", "#a86400", "#007a5a", "#a8437c", "#5a4fb5", "#b93c00")
COLUMN, BAR, GAP = 1.0, 0.74, 0.6
SMALL, TITLE = 8, 10
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


def new_figure(theme: Theme, width: float, height: float) -> Figure:
    """An empty figure; ``width`` and ``height`` in inches, at 100 dots each."""
    figure = Figure(figsize=(width, height), dpi=100, facecolor=theme.background, layout="constrained")
    figure.get_layout_engine().set(w_pad=0.1, h_pad=0.1)
    return figure


def block_columns(
    rows: Sequence[Axes], theme: Theme, architecture: Architecture, present: Sequence[Sequence[bool]], notes: Sequence[str] = ()
) -> np.ndarray:
    """Makes each row's x axis one of blocks, named below the last; ``present``: for each row, the blocks that its LoRA has.

    The others are grey columns. ``notes``: what else the colours say. Returns where each block's bar stands, with a gap between sections.
    """
    places = np.array([block * COLUMN + number * GAP for number, section in enumerate(architecture.sections) for block in section.blocks])
    for axes, there in zip(rows, present):
        for place in places[~np.array(there)]:
            axes.axvspan(place - COLUMN / 2, place + COLUMN / 2, color=theme.line, alpha=0.6, linewidth=0, zorder=0)
        axes.set_xlim(places[0] - 0.8, places[-1] + 0.8)
        axes.set_xticks(places, _numbers(architecture))
        axes.tick_params(labelbottom=axes is rows[-1])
    for section in architecture.sections:
        ends = places[[section.blocks[0], section.blocks[-1]]]
        below = -15 if section.count > 1 else -4
        place = {"xycoords": ("data", "axes fraction"), "textcoords": "offset points", "annotation_clip": False}
        rows[-1].annotate(section.name, (ends.mean(), 0), (0, below), color=theme.text, fontsize=SMALL, weight="bold", ha="center", va="top", **place)
    if not all(map(all, present)):
        notes = ["grey: not in this LoRA", *notes]
    note(rows[0], theme, "; ".join(notes))
    return places


def _numbers(architecture: Architecture) -> list[str]:
    """The number of each block within its section; BASE and MID are alone in theirs."""
    return [str(number) if section.count > 1 else "" for section in architecture.sections for number in range(section.count)]


def style(axes: Axes, theme: Theme, title: str) -> None:
    axes.set_facecolor(theme.background)
    axes.set_title(title, loc="left", color=theme.text, fontsize=TITLE, weight="bold")
    axes.tick_params(colors=theme.quiet, labelsize=SMALL, length=0)
    axes.grid(axis="y", color=theme.line, linewidth=0.7)
    axes.yaxis.set_major_locator(MaxNLocator(5))
    axes.set_axisbelow(True)
    for side, spine in axes.spines.items():
        spine.set_visible(side == "bottom")
        spine.set_color(theme.line)


def note(axes: Axes, theme: Theme, text: str) -> None:
    axes.set_title(text, loc="right", color=theme.quiet, fontsize=SMALL)


def legend(axes: Axes, theme: Theme, below: float) -> None:
    """``below`` the axes by so many points, where it hides no line."""
    figure = axes.figure
    place = axes.transAxes + ScaledTranslation(0, -below / 72, figure.dpi_scale_trans)
    columns = 2 if figure.get_figwidth() >= _TWO_COLUMNS_FROM else 1
    axes.legend(fontsize=SMALL, frameon=False, labelcolor=theme.text, loc="upper left", bbox_to_anchor=(0, 0), bbox_transform=place, borderaxespad=0, borderpad=0, ncols=columns)


def short(name: str) -> str:
    """The beginning of a name, by which people know files, with no sign that matplotlib takes for a formula or a secret label."""
    text = name if len(name) <= _LONGEST_NAME else f"{name[:_LONGEST_NAME - 1]}\u2026"
    text = "".join(sign if sign.isprintable() else "\ufffd" for sign in text).replace("$", r"\$")
    return f" {text}" if text.startswith("_") else text

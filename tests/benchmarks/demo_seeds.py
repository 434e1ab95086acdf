"""The demo's search with several seeds: what it says of itself, and how it does on images kept for the end. Draws the README's figure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from appl_search import LoraSource, SearchSettings, TrainingSet, search
from appl_search.cli.demo import compare_on_unseen
from appl_search.comparing.comparison import Comparison
from appl_search.comparing.ranking import order
from appl_search.demo import load_images, load_tiny_sdxl, lora_paths
from appl_search.report.drawing import SMALL, THEMES, new_figure, note, style

CHOICES = ("no LoRA", "strength 1", "best single strength")
WIDTH, HEIGHT, BETWEEN_SEEDS = 8.0, 3.0, 0.12


@dataclass(frozen=True)
class Row:
    """``verdict``: what the search says of itself. ``unseen``: the found weights against single strengths on other images."""

    seed: int
    samples: int
    verdict: str
    unseen: Comparison


def measure(seeds: Iterable[int]) -> Iterator[Row]:
    models, sources = load_tiny_sdxl(), [LoraSource(path) for path in lora_paths().values()]
    for seed in seeds:
        result = search(*models, sources, TrainingSet.from_images(*load_images("styled_train")), SearchSettings(seed=seed))
        yield Row(seed, result.samples, result.verdict.text, compare_on_unseen(models, sources, result))


def shown(comparison: Comparison) -> tuple[int, int, int]:
    """Numbers of the candidates CHOICES; the last is the strength that turns out best on these very images."""
    names = [candidate.name for candidate in comparison.candidates]
    none = names.index("strength 0.00")
    return none, names.index("strength 1.00"), next(number for number in order(comparison) if number not in (0, none))


def table(rows: Iterable[Row]) -> list[str]:
    """As Markdown."""
    lines = [
        "## The demo", "",
        "Two LoRAs, default settings. By how many percent the losses of others are above that of what was found, on images that no search",
        "has seen, with 95% intervals; the best single strength is the best of 0.2, 0.4 ... 1 on these very images.", "",
        f"| seed | samples | the search's own verdict | {' | '.join(CHOICES)} |",
        "| --- | --- | --- | --- | --- | --- |",
    ]  # fmt: skip
    for row in rows:
        *others, best = shown(row.unseen)
        strength = row.unseen.candidates[best].name.split()[-1]
        columns = [*(_percent(row.unseen, number) for number in others), f"{strength}: {_percent(row.unseen, best)}"]
        lines.append(f"| {row.seed} | {row.samples} | {row.verdict} | {' | '.join(columns)} |")
    return [*lines, ""]


def _percent(comparison: Comparison, number: int) -> str:
    above, error = _above(comparison, number)
    return f"{above:.2f} ± {error:.2f}"


def _above(comparison: Comparison, number: int) -> tuple[float, float]:
    scale = 100 / float(comparison.losses[0])
    return scale * float(comparison.difference[number, 0]), scale * float(comparison.error[number, 0])


def draw(rows: list[Row], path: Path) -> None:
    """One mark for each seed and each choice."""
    theme = THEMES["light"]
    figure = new_figure(theme, WIDTH, HEIGHT)
    axes = figure.subplots()
    style(axes, theme, f"The demo's two LoRAs, seeds 0 to {len(rows) - 1}")
    axes.grid(False)
    axes.grid(axis="x", color=theme.line, linewidth=0.7)
    for place, row in enumerate(rows):
        for height, number in enumerate(shown(row.unseen)):
            above, error = _above(row.unseen, number)
            at = height + BETWEEN_SEEDS * (place - (len(rows) - 1) / 2)
            axes.errorbar([above], [at], xerr=[error], fmt="o", color=theme.series[0], elinewidth=1.5, capsize=2, markersize=4)
    axes.axvline(0, color=theme.text, linewidth=1.0)
    axes.set_yticks(range(len(CHOICES)), CHOICES)
    axes.set_ylim(len(CHOICES) - 0.4, -0.6)
    axes.set_xlabel("% by which the loss on images that no search has seen is above that of what was found, with 95% intervals", color=theme.quiet, fontsize=SMALL)
    note(axes, theme, f"{rows[0].unseen.samples} samples of {rows[0].unseen.pictures} images")
    figure.savefig(path)

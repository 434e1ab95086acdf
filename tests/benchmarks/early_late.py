"""Whether block weights of their own for early and for late timesteps are better than one set for all, on the demo."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from torch import Tensor

from appl_search import LoraSource, SearchSettings, TrainingSet, evaluate, search
from appl_search.demo import load_images, load_tiny_sdxl, lora_paths

RANGES = {"early": (500, 1000), "late": (0, 500)}
EVALUATION = SearchSettings(samples=320, batch_size=32, seed=77)


@dataclass(frozen=True)
class Row:
    """By how many percent the loss of one search is above that of one for the range, on images that neither has seen.

    ``gains``: (percent, half of its 95% interval over the draws) for each of RANGES. ``all``: both ranges together.
    """

    loras: str
    seed: int
    gains: dict[str, tuple[float, float]]
    all: float


def measure(seeds: Iterable[int]) -> Iterator[Row]:
    for names in (["character", "style"], ["style"]):
        for seed in seeds:
            yield _row(names, seed)


def _row(names: list[str], seed: int) -> Row:
    models, sources = load_tiny_sdxl(), [LoraSource(lora_paths()[name]) for name in names]
    train, unseen = (TrainingSet.from_images(*load_images(f"styled_{part}")) for part in ("train", "heldout"))

    def found(levels: tuple[int, int]) -> list[tuple[float, ...]]:
        settings = SearchSettings(seed=seed, comparison=0, min_timestep=levels[0], max_timestep=levels[1])
        return [weights.values for weights in search(*models, sources, train, settings).block_weights]

    def losses(levels: tuple[int, int]) -> Tensor:
        settings = replace(EVALUATION, min_timestep=levels[0], max_timestep=levels[1])
        return evaluate(*models, sources, unseen, [one, found(levels)], settings)

    one = found((0, 1000))
    both = {name: losses(levels) for name, levels in RANGES.items()}
    gained = {name: one_set - two_sets for name, (one_set, two_sets) in both.items()}
    scales = {name: 100 / float(one_set.mean()) for name, (one_set, _) in both.items()}
    gains = {name: (scales[name] * float(gain.mean()), scales[name] * 1.96 * float(gain.std()) / len(gain) ** 0.5) for name, gain in gained.items()}
    of_all = 100 * sum(float(gain.mean()) for gain in gained.values()) / sum(float(losses[0].mean()) for losses in both.values())
    return Row(" and ".join(names), seed, gains, of_all)


def table(rows: Iterable[Row]) -> list[str]:
    """As Markdown."""
    ranges = " | ".join(f"timesteps {least} to {most}" for least, most in RANGES.values())
    lines = [
        "## Early and late", "",
        "One search of all timesteps against one for each half, 320 samples each, on the demo: by how many percent the two have a lower",
        "loss on images that no search has seen, with 95% intervals over the draws.", "",
        f"| LoRAs | seed | {ranges} | all |",
        "| --- | --- | --- | --- | --- |",
    ]  # fmt: skip
    for row in rows:
        parts = " | ".join(f"{gain:.1f} ± {error:.1f}" for gain, error in row.gains.values())
        lines.append(f"| {row.loras} | {row.seed} | {parts} | {row.all:.1f} |")
    return [*lines, ""]

"""How many samples each method needs, and whether its standard errors are true: loss + penalty on the training images.

On a world of its own, with another seed than the demo's: another model, other LoRAs, other images, which nothing in
the methods was tuned on. It is made on first use, in some ten minutes, and kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch

from appl_search import LoraSource, Models, SearchResult, SearchSettings, Task, TrainingSet, search
from appl_search.demo import load_images, load_tiny_sdxl, lora_paths
from appl_search.demo.making.make import Lengths, make_all
from appl_search.gradients.draws import Draws
from appl_search.gradients.evaluator import opened
from appl_search.host.tiny_sdxl import TinyConfig

PENALTY = 1e-4
METHODS = {
    "gauss-newton": SearchSettings(method="gauss-newton", penalty=PENALTY, tolerance=0.0),
    "adamw, batch 16, cosine": SearchSettings(method="adamw", lr_schedule="cosine", penalty=PENALTY),
    "published": SearchSettings(method="adamw", lr_schedule="constant", batch_size=1, penalty=PENALTY, validation=0),
}
WORLD_SEED = 7
WORLD = Lengths(vae=360, base=540, base_pictures=6000, character=90, style=120)


@dataclass(frozen=True)
class Row:
    """Objective after each number of samples, by seed: ``objectives`` [seeds][budgets]; ``best``: of a very long run.

    ``coverage``: part of the rates' 90% intervals that contain the very long run's rate.
    """

    task: str
    method: str
    budgets: Sequence[int]
    objectives: Sequence[Sequence[float]]
    best: float
    coverage: float | None = None

    def first_within(self, tolerance: float) -> list[int | None]:
        """First budget within ``tolerance`` of the best objective, for each seed; None if none is."""
        return [next((n for n, good in zip(self.budgets, each) if good), None) for each in self._within(tolerance)]

    def settled_within(self, tolerance: float) -> list[int | None]:
        """First budget from which on all are within ``tolerance``, for each seed: a user does not know when to stop."""
        found = []
        for each in self._within(tolerance):
            tail = next((i for i, good in enumerate(reversed(each)) if not good), len(each))
            found.append(self.budgets[len(each) - tail] if tail else None)
        return found

    def _within(self, tolerance: float) -> list[list[bool]]:
        return [[value <= self.best * (1 + tolerance) for value in values] for values in self.objectives]


def make_world(folder: Path) -> Path:
    """The files of a second demo world, in the style of the demo's."""
    if not (folder / "loras" / "style.safetensors").exists():
        make_all(folder, WORLD_SEED, TinyConfig(), WORLD)
    return folder


def measure(
    world: Path, tasks: dict[str, tuple[list[str], str]], budgets: dict[str, list[int]], seeds: int, long_run: int, repeats: int
) -> list[Row]:
    """``tasks``: {name: (LoRAs, split of the images)}; ``budgets``: samples to try, by method; ``repeats``: for the coverage."""
    model, clip, vae = load_tiny_sdxl(world)
    rows = []
    for task, (names, split) in tasks.items():
        sources = [LoraSource(lora_paths(world)[name]) for name in names]
        images = TrainingSet.from_images(*load_images(split, world))
        objective = _Objective(model, clip, vae, sources, images)
        run = partial(search, model, clip, vae, sources, images)
        long = run(replace(METHODS["gauss-newton"], samples=long_run, seed=99))
        best = objective(_rates(long))
        of_task = []
        for method, settings in METHODS.items():
            runs = [_objectives(run, replace(settings, seed=seed), budgets[method], objective) for seed in range(seeds)]
            best = min([best, *(value for values in runs for value in values)])
            of_task.append(Row(task, method, budgets[method], runs, best))
        of_task[0] = replace(of_task[0], coverage=_coverage(run, long, repeats))
        rows += [replace(row, best=best) for row in of_task]
    return rows


def _coverage(run, long: SearchResult, repeats: int) -> float:
    """Of gauss-newton with 320 samples, over the rates that are not 0 in the very long run and in the short one."""
    hits = []
    for seed in range(repeats):
        found = run(replace(METHODS["gauss-newton"], samples=320, seed=1000 + seed))
        for weights, true in zip(found.block_weights, long.block_weights):
            for value, error, wanted in zip(weights.values, weights.stderr, true.values):
                if wanted != 0 and error == error:
                    hits.append(abs(value - wanted) <= 1.645 * error)
    return sum(hits) / len(hits)


def _objectives(run, settings: SearchSettings, budgets: Sequence[int], objective: _Objective) -> list[float]:
    """After each budget: of a search of its own, unless the settings do not depend on the number of samples."""
    if settings.lr_schedule == "constant":
        history = run(replace(settings, samples=max(budgets))).history.block_weights
        return [objective(history[budget // settings.batch_size]) for budget in budgets]
    results = (run(replace(settings, samples=budget)) for budget in budgets)
    return [objective(_rates(result)) for result in results]


def _rates(result: SearchResult) -> torch.Tensor:
    return torch.tensor([weights.values for weights in result.block_weights])


class _Objective:
    """Denoising loss + penalty of a result, always on the same many draws."""

    def __init__(self, model, clip, vae, sources, images):
        settings = SearchSettings(samples=320, batch_size=32, seed=4242)
        self._task = Task(models=Models(model=model, clip=clip, vae=vae), loras=sources, images=images, settings=settings)

    def __call__(self, rates: torch.Tensor) -> float:
        """``rates`` [LoRAs, blocks]."""
        settings, rates = self._task.settings, rates.double()
        with opened(self._task) as evaluator:
            batches = Draws(evaluator.shapes, settings.samples, settings.batch_size, settings.seed)
            loss = torch.cat([evaluator.losses(draw, rates) for draw in batches]).mean()
            return float(loss) + PENALTY * evaluator.rates.penalty(rates, settings.negative_penalty)

"""How many samples each method needs, on the demo's model: loss + penalty on the training images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import torch

from appl_search import LoraSource, SearchResult, SearchSettings, TrainingSet, search
from appl_search.demo import load_images, load_tiny_sdxl, lora_paths
from appl_search.evaluator import opened
from appl_search.lora import read_layout
from appl_search.objective import draws
from appl_search.rates import Rates

PENALTY = 1e-4
METHODS = {
    "gauss-newton": SearchSettings(method="gauss-newton", lr_schedule="cosine", penalty=PENALTY),
    "adamw, batch 16, cosine": SearchSettings(method="adamw", lr_schedule="cosine", penalty=PENALTY),
    "published": SearchSettings(method="adamw", lr_schedule="constant", batch_size=1, penalty=PENALTY),
}


@dataclass(frozen=True)
class Row:
    """Objective after each number of samples, by seed: ``objectives`` [seeds][budgets]; ``best``: of a very long run."""

    task: str
    method: str
    budgets: Sequence[int]
    objectives: Sequence[Sequence[float]]
    best: float

    def samples_needed(self, tolerance: float = 0.01) -> list[int | None]:
        """First budget within ``tolerance`` of the best objective, for each seed; None if none is."""
        return [
            next((n for n, value in zip(self.budgets, values) if value <= self.best * (1 + tolerance)), None)
            for values in self.objectives
        ]


def measure(tasks: dict[str, tuple[list[str], str]], budgets: dict[str, list[int]], seeds: int, long_run: int) -> list[Row]:
    """``tasks``: {name: (the demo's LoRAs, split of its images)}; ``budgets``: samples to try, by method."""
    model, clip, vae = load_tiny_sdxl()
    rows = []
    for task, (names, split) in tasks.items():
        sources = [LoraSource(lora_paths()[name]) for name in names]
        images = TrainingSet.from_images(*load_images(split))
        objective = _Objective(model, clip, vae, sources, images)
        long = search(model, clip, vae, sources, images, replace(METHODS["gauss-newton"], samples=long_run, seed=99))
        best = objective(_rates(long))
        for method, settings in METHODS.items():
            run = partial(search, model, clip, vae, sources, images)
            runs = [_objectives(run, replace(settings, seed=seed), budgets[method], objective) for seed in range(seeds)]
            best = min([best, *(value for values in runs for value in values)])
            rows.append(Row(task, method, budgets[method], runs, best))
        rows = [replace(row, best=best) if row.task == task else row for row in rows]
    return rows


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
        self._opened_with = model, clip, vae, sources
        self._rates = Rates(sources, [read_layout(source) for source in sources], METHODS["published"])
        self._images = images

    def __call__(self, rates: torch.Tensor) -> float:
        """``rates`` [LoRAs, 20]."""
        settings = SearchSettings(samples=480, batch_size=32, seed=4242)
        rates = rates.double().flatten()
        with opened(*self._opened_with, self._rates, self._images, settings) as evaluator:
            batches = draws(evaluator.shapes, evaluator.timesteps, settings.samples, settings.batch_size, settings.seed)
            loss = torch.cat([evaluator.losses(draw, rates) for draw in batches]).mean()
        return float(loss) + PENALTY * self._rates.penalty(rates, settings.negative_penalty)

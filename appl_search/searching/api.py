"""The search as two functions, for scripts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor

from ..gradients.draws import Draws
from ..gradients.evaluator import opened
from ..gradients.task import Models, Task
from ..images.training_set import TrainingSet
from ..loras.source import LoraSource
from ..settings import PreviewSettings, SearchSettings
from .events import Event
from .previews import Preview
from .result import SearchResult
from .run import open_search


def search(
    model,
    clip,
    vae,
    loras: Sequence[LoraSource],
    training_set: TrainingSet,
    settings: SearchSettings = SearchSettings(),
    on_event: Callable[[Event], object] | None = None,
    previews: PreviewSettings | Sequence[PreviewSettings] | None = None,
    on_preview: Callable[[Preview], object] = lambda preview: None,
    draws: Iterable[tuple[Tensor, Tensor, Tensor]] | None = None,
) -> SearchResult:
    """Block weights for the LoRAs that bring the model closest to the training set.

    ``on_event`` is called after each step; when it returns True the search finishes with what it has. ``on_preview`` is
    given each preview picture: before the first step, now and then, and with what was found. The rest is as in
    :class:`~appl_search.gradients.task.Task`; what is raised, as in :class:`~appl_search.searching.run.Run`.
    """
    task = Task(
        models=Models(model=model, clip=clip, vae=vae),
        loras=loras,
        images=training_set,
        settings=settings,
        previews=previews,
        draws=draws,
    )
    with open_search(task, on_preview=on_preview) as run:
        for event in run:
            if on_event is not None and on_event(event) is True:
                break
        return run.finish()


def evaluate(
    model,
    clip,
    vae,
    loras: Sequence[LoraSource],
    training_set: TrainingSet,
    block_weights: Sequence[Sequence[Sequence[float]]],
    settings: SearchSettings = SearchSettings(),
) -> Tensor:
    """Denoising losses [candidates, samples] of several choices of block weights on the same draws.

    ``block_weights`` [candidates][LoRAs][blocks]. The draws are those of ``settings`` (samples, batch_size,
    seed), so that differences between candidates are far less noisy than the losses themselves.
    """
    task = Task(models=Models(model=model, clip=clip, vae=vae), loras=loras, images=training_set, settings=settings)
    candidates = torch.tensor(block_weights, dtype=torch.float64)
    with opened(task) as evaluator:
        draws = Draws(evaluator.shapes, settings.samples, settings.batch_size, settings.seed, levels=settings.levels)
        return torch.cat([torch.stack([evaluator.losses(draw, each) for each in candidates]) for draw in draws], dim=1)

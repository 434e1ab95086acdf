"""The search, and comparisons without one, as functions for scripts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from ..comparing.comparison import GIVEN, Candidate, Comparison
from ..gradients.draws import COMPARISON, Draws
from ..gradients.evaluator import opened
from ..gradients.task import Models, Task
from ..images.training_set import TrainingSet
from ..loras.source import LoraSource
from ..settings import PreviewSettings, SearchSettings
from .candidates import Part, compared, losses_of, strengths_of
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


def compare(
    model,
    clip,
    vae,
    loras: Sequence[LoraSource],
    training_set: TrainingSet,
    choices: Mapping[str, Sequence[Sequence[float]]],
    settings: SearchSettings = SearchSettings(),
) -> Comparison:
    """Choices of block weights compared on the same draws, with intervals of their differences.

    ``choices``: by name, [LoRAs][blocks] each. The draws are ``settings.comparison`` samples of all pictures. Raises
    ValueError for no choice, too few samples, and a choice with which the model overflows.
    """
    if not choices:
        raise ValueError("There is nothing to compare. Give at least one choice of block weights.")
    task = Task(models=Models(model=model, clip=clip, vae=vae), loras=loras, images=training_set, settings=settings)
    rates = torch.tensor(list(choices.values()), dtype=torch.float64)
    with opened(task) as evaluator:
        candidates = [Candidate(name, strengths_of(each, evaluator.rates)) for name, each in zip(choices, rates)]
        draws = Draws(evaluator.shapes, settings.comparison, settings.batch_size, settings.seed, COMPARISON, settings.levels)
        losses, examples = losses_of([Part(frozenset(range(len(evaluator.examples))), list(rates))], draws, evaluator.losses)
        comparison, notes = compared(candidates, losses, torch.tensor(evaluator.examples.items)[examples], GIVEN)
    if comparison is None or notes:
        raise ValueError(" ".join(notes))
    return replace(comparison, notes=tuple(evaluator.notes))

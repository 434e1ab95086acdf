"""A training set whose best rates are known, for the whole engine: its targets are what the model itself predicts there."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from appl_search import Task, TrainingSet
from appl_search.gradients.draws import Draws
from appl_search.gradients.evaluator import opened


def planted(task: Task, best: Tensor, error: float, seed: int = 0) -> Task:
    """The task with pictures and recorded draws for which ``best`` [LoRAs, blocks] has the lowest expected loss.

    For each sample the network sees a noisy latent x of one of the task's pictures. A picture and a noise of its own are made
    that give the same x, so that the noise, which the network should find, is its prediction at ``best`` + ``error`` *
    N(0, I): the picture is x - sigma noise. The errors are drawn apart from everything else. So the expected loss at
    ``best`` is error^2, no other rates have less, and the gradient there is 0 but for the luck of the draws. For
    models that predict noise and pictures without masks.
    """
    settings, generator = task.settings, torch.Generator().manual_seed(seed)
    pictures, recorded = TrainingSet(), []
    with opened(task) as evaluator:
        schedule, latent_in = evaluator.denoiser.schedule, evaluator.denoiser.latent_in
        for draw in Draws(evaluator.shapes, settings.samples, settings.batch_size, seed):
            sigma, timestep = schedule.sigma_at(draw.levels)
            seen = [evaluator.examples[int(index)].load() for index in draw.indices]
            x = schedule.noisy(latent_in(torch.stack([each.latent for each in seen])), torch.stack(list(draw.noise)), sigma)
            noise = torch.stack(evaluator.predictions(draw, best)) + error * torch.randn(x.shape, generator=generator)
            latents = (x - sigma.view(-1, 1, 1, 1) * noise) / latent_in(torch.ones(()))
            first = len(pictures)
            pictures += TrainingSet(tuple(replace(one, latent=latent) for one, latent in zip(seen, latents)))
            recorded.append((torch.arange(first, len(pictures)), timestep, noise))
    return replace(task, images=pictures, draws=recorded)

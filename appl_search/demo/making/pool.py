"""A pool of rendered scenes to train on."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

import numpy as np
import torch
from torch import Tensor

from .world import PALETTE, Palette, Scene, random_scene, render


@dataclass(frozen=True)
class Pool:
    """Scenes and their pictures (uint8 [N, 128, 128, 3])."""

    scenes: list[Scene]
    pictures: Tensor


def make_pool(count: int, seed: int, palette: Palette = PALETTE, **fixed: str | tuple[str, ...]) -> Pool:
    """`count` scenes of `random_scene(..., **fixed)`, rendered in `palette`."""
    rng = Random(seed)
    scenes = [random_scene(rng, **fixed) for _ in range(count)]
    pictures = np.stack([np.asarray(render(scene, palette)) for scene in scenes])
    return Pool(scenes, torch.from_numpy(pictures))

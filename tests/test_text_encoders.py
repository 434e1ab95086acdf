"""BASE: the gradient runs through both text encoders."""

from __future__ import annotations

import pytest
import torch

from appl_search import LoraSource, Models, SearchSettings, Task, TrainingSet
from appl_search.architectures.sdxl import SDXL
from appl_search.demo import load_images, load_tiny_sdxl, lora_paths
from appl_search.gradients.draws import Draws
from appl_search.gradients.evaluator import opened


@pytest.fixture(scope="module")
def evaluator():
    model, clip, vae = load_tiny_sdxl()
    source = LoraSource(lora_paths()["character"])
    settings = SearchSettings(samples=3, batch_size=3)
    images, captions = load_images("train")
    training_set = TrainingSet.from_images(images[:3], captions[:3])
    models = Models(model=model, clip=clip, vae=vae)
    with opened(Task(models=models, loras=[source], images=training_set, settings=settings)) as evaluator:
        yield evaluator


@pytest.mark.parametrize("block", ["BASE", "IN04", "OUT03"])
def test_gradients_equal_finite_differences_through_the_whole_model(evaluator, block):
    draw = Draws(evaluator.shapes, 3, 3, seed=0).current()
    rates = torch.full((1, 20), 0.7, dtype=torch.float64)
    step = torch.zeros(1, 20, dtype=torch.float64)
    step[0, SDXL.block_index(block)] = 0.02
    above, below = (evaluator.losses(draw, rates + sign * step) for sign in (1, -1))
    parameter = int(evaluator.rates.parameter_of[0, SDXL.block_index(block)])
    found = evaluator.gradients(draw, rates).gradients[:, parameter]
    torch.testing.assert_close(found, (above - below) / 0.04, rtol=0.02, atol=2e-5)
    assert found.abs().max() > 1e-4


def test_text_encoder_outputs_are_computed_once_when_no_lora_has_text_encoder_keys(monkeypatch):
    from appl_search import search
    from appl_search.host import conditioning

    calls = []
    encode = conditioning.encode_caption
    monkeypatch.setattr(conditioning, "encode_caption", lambda *args: calls.append(None) or encode(*args))
    images, captions = load_images("train")
    training_set = TrainingSet.from_images(images[:4], [captions[0], captions[0], captions[1], captions[1]])
    settings = SearchSettings(method="adamw", samples=6, batch_size=2)
    search(*load_tiny_sdxl(), [LoraSource(lora_paths()["style"])], training_set, settings)
    assert len(calls) == 2

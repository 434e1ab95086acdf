"""The numbers of the published program: predictions, losses, gradients and 20 steps of rates."""

from __future__ import annotations

import pytest
import torch

from appl_search import LoraSource, SearchSettings, search
from tests import oracle

SETTINGS = SearchSettings(
    method="adamw", samples=40, batch_size=2, learning_rate=0.1, lr_schedule="constant", weight_decay=0.01,
    init=0.5, penalty=1e-4, negative_penalty=10,
)  # fmt: skip


def replay(model, loras, settings=SETTINGS):
    sources = [LoraSource(lora) for lora in loras]
    return search(model, None, None, sources, oracle.training_set(), settings, draws=oracle.recorded_draws())


def assert_same_run(result, run, loras):
    there = torch.tensor([w.present for w in result.block_weights]).flatten()
    expected = run["weights"].view(21, -1)[:, there]
    found = result.history.block_weights.flatten(1)[:, there]
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-4)
    torch.testing.assert_close(result.history.loss, run["loss_denoise"], rtol=0, atol=1e-4)


@pytest.mark.parametrize("name, loras", [("a", [oracle.LORA_A]), ("ab", [oracle.LORA_A, oracle.LORA_B])])
def test_twenty_steps_end_where_the_published_program_does(name, loras):
    assert_same_run(replay(oracle.sdxl(), loras), oracle.numbers(f"runs/{name}__base"), loras)

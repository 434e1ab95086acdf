"""A LoRA file is read once, and what becomes of the file afterwards changes nothing."""

from __future__ import annotations

import io
import shutil
import weakref
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from appl_search import BlockWeights, LoraSource, SearchSettings
from appl_search.architectures.sdxl import SDXL
from appl_search.gradients.evaluator import opened
from appl_search.gradients.task import Models, Task
from appl_search.host.learnable import add_learnable, split_learnable
from appl_search.host.lora_loading import load
from appl_search.host.lora_patches import apply
from appl_search.loras.files import read_lora
from appl_search.loras.layout import read_layout
from appl_search.weights.bake import bake
from tests import oracle
from tests.nodes.patched import assert_same_weights, stock

HALF = dict.fromkeys(SDXL.blocks, 0.5)


@pytest.fixture(scope="module")
def model():
    return oracle.sdxl()


@pytest.fixture
def path(tmp_path) -> Path:
    return Path(shutil.copy(oracle.LORA_A, tmp_path / "mine.safetensors"))


@pytest.fixture
def opens(path, monkeypatch) -> list[Path]:
    """Each time that the file is opened, by Python or by safetensors."""
    import safetensors
    import safetensors.torch

    found: list[Path] = []

    def counting(opener):
        def count(file, *args, **kwargs):
            if Path(str(file)) == path:
                found.append(path)
            return opener(file, *args, **kwargs)

        return count

    monkeypatch.setattr(io, "open", counting(io.open))
    monkeypatch.setattr("builtins.open", io.open)
    for module in (safetensors, safetensors.torch):
        monkeypatch.setattr(module, "safe_open", counting(safetensors.safe_open))
    return found


def test_a_file_is_opened_once_from_the_loader_to_the_layers_and_what_was_found(model, path, opens):
    learnable, _ = add_learnable(model, None, load(LoraSource(path, start=HALF).loaded(), model, None))
    plain, _, sources = split_learnable(learnable, None)
    task = Task(models=Models(model=plain), loras=sources, images=oracle.training_set(), settings=SearchSettings(samples=4))
    with opened(task) as evaluator:
        assert evaluator.rates.layouts[0] == read_layout(LoraSource(oracle.LORA_A, "mine"))
    weights = BlockWeights(read_layout(sources[0]), (0.5,) * 20)
    apply(plain, None, load(sources[0], plain, None), weights)
    bake(sources[0], weights)
    assert opens == [path]


def test_a_search_in_python_opens_a_file_once(model, path, opens):
    task = Task(models=Models(model=model), loras=[LoraSource(path)], images=oracle.training_set())
    with opened(task):
        pass
    assert opens == [path]


@pytest.mark.parametrize("change", ["overwritten in place", "truncated", "deleted"])
def test_what_happens_to_the_file_after_loading_changes_nothing(change, model, path):
    expected = stock(model, oracle.LORA_A, 0.5)
    learnable, _ = add_learnable(model, None, load(LoraSource(path, start=HALF).loaded(), model, None))
    size = path.stat().st_size
    if change == "deleted":
        path.unlink()
    else:
        with open(path, "r+b") as file:
            file.write(bytes(size)) if change == "overwritten in place" else file.truncate(100)
    assert_same_weights(learnable, expected)
    plain, _, (source,) = split_learnable(learnable, None)
    weights = BlockWeights(read_layout(source), (0.5,) * 20)
    assert_same_weights(apply(plain, None, load(source, plain, None), weights)[0], expected)


def test_a_file_that_changed_is_read_again_and_one_that_did_not_is_shared(path):
    first = read_lora(path)
    assert read_lora(path) is first
    save_file({key: part + 1 for key, part in load_file(oracle.LORA_A).items()}, path)
    assert read_lora(path).sha256 != first.sha256
    assert read_layout(LoraSource(path)).sha256 == read_lora(path).sha256


def test_a_file_that_nobody_uses_is_not_kept_in_memory(path):
    read_layout(LoraSource(path))
    used = weakref.ref(read_lora(path))
    assert used() is None


def test_tensors_are_copies_and_no_views_of_the_file(path):
    before = {key: part.clone() for key, part in read_lora(path).tensors.items()}
    file = read_lora(path)
    with open(path, "r+b") as changed:
        changed.seek(-1000, 2)
        changed.write(bytes(1000))
    assert all(torch.equal(part, before[key]) for key, part in file.tensors.items())

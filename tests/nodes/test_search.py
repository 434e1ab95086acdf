"""The search node, end to end on a tiny SDXL, and what it does when a search ends early."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch

from appl_search import SearchResult, SearchSettings
from tests import oracle
from tests.nodes.cancelling import cancelled_at_the_eighth_question
from tests.nodes.patched import assert_same_weights, patched_weights, stock

SAMPLES = 4
QUICK = SearchSettings(batch_size=2, validation=0, comparison=0)


@pytest.fixture(scope="module")
def training_set():
    return oracle.training_set()


@pytest.fixture
def learnable(node, folders, model):
    """LoRA b by the stock loader, then a and b to be searched."""
    out, _ = node("ApplSearchLoadLora").load(stock(model, oracle.LORA_B, 0.7), "a.safetensors", 0.5)
    return node("ApplSearchLoadLora").load(out, "sub/b.safetensors", 0.3)[0]


def run(node, model, training_set, **changes):
    settings = changes.pop("settings", QUICK)
    widgets = {"method": "adamw", "samples": SAMPLES, "penalty": 1e-4, "seed": 7} | changes
    return node("ApplSearchRun").run(model, None, training_set, settings=settings, **widgets)


def rates(result: SearchResult) -> list[tuple[float, ...]]:
    return [weights.values for weights in result.block_weights]


def saved(folders) -> dict[str, SearchResult]:
    files = sorted((folders / "output" / "block_weights").rglob("*.json"))
    return {path.name: SearchResult.from_json(path.read_text(encoding="utf-8")) for path in files}


def test_finds_applies_and_saves_block_weights(node, folders, model, learnable, training_set):
    before = {key: list(entries) for key, entries in learnable.patches.items()}
    out = run(node, learnable, training_set)
    found, clip, result, summary, _ = out["result"]

    assert clip is None
    assert [weights.name for weights in result.block_weights] == ["a", "b"]
    assert result.samples == SAMPLES
    assert result.settings == replace(QUICK, method="adamw", samples=SAMPLES, penalty=1e-4, seed=7)
    assert result.history.block_weights[0, 0].unique().tolist() == pytest.approx([0.0, 0.5])
    assert result.history.block_weights[0, 1].unique().tolist() == pytest.approx([0.0, 0.3])
    assert set(saved(folders)) == {"a+b_00001.json"}
    assert rates(saved(folders)["a+b_00001.json"]) == rates(result)
    data = json.loads((folders / "output" / "block_weights" / "a+b_00001.json").read_text(encoding="utf-8"))
    assert data["loras"][0]["block_weights"] == dict(result.block_weights[0].items())

    assert out["ui"]["text"] == [summary]
    assert "adamw: 4 samples in 2 steps" in summary and "a+b_00001.json" in summary
    for weights in result.block_weights:
        for block, rate in weights.items():
            assert f"{block:<5} {rate:7.3f}" in summary

    assert learnable.patches == before and not model.patches
    expected, _ = node("ApplSearchApply").apply(
        stock(model, oracle.LORA_B, 0.7), "a.safetensors", 1.0, 1.0, block_weights=result
    )["result"]
    expected, _ = node("ApplSearchApply").apply(expected, "sub/b.safetensors", 1.0, 1.0, block_weights=result)["result"]
    assert_same_weights(found, expected)


def test_runs_as_comfyui_runs_it_in_inference_mode(node, folders, learnable, training_set):
    usual = run(node, learnable, training_set)["result"]
    with torch.inference_mode():
        result = run(node, learnable, training_set)["result"]
    assert rates(result[2]) == rates(usual[2])
    for key, weight in patched_weights(result[0]).items():
        assert weight.isfinite().all(), key


def test_the_widgets_of_the_search_win_over_the_settings_node(node, folders, learnable, training_set):
    settings = SearchSettings(method="gauss-newton", samples=999, penalty=1.0, seed=1, batch_size=4, negative_penalty=3.0)
    result = run(node, learnable, training_set, settings=settings)["result"][2]
    assert result.settings == SearchSettings(
        method="adamw", samples=SAMPLES, penalty=1e-4, seed=7, batch_size=4, negative_penalty=3.0
    )


def test_other_images_are_another_search_even_if_they_are_alike(node, folders, learnable):
    search, kept = node("ApplSearchRun"), [oracle.training_set(), oracle.training_set()]
    for images in (*kept, kept[1]):
        search.run(learnable, None, images, settings=QUICK, method="adamw", samples=SAMPLES, penalty=1e-4, seed=7)
    assert len(saved(folders)) == 2


def test_a_model_without_learnable_loras_is_refused(node, folders, model, training_set):
    with pytest.raises(ValueError, match=r"no LoRA to search.*Put a 'Load LoRA \(Learnable Blocks\)' node in front"):
        run(node, stock(model, oracle.LORA_A, 1.0), training_set)
    assert not saved(folders)


def test_cancel_goes_through_and_keeps_what_was_found(node, folders, learnable, training_set, monkeypatch):
    import comfy.model_management as management

    before = {key: list(entries) for key, entries in learnable.patches.items()}
    cancelled_at_the_eighth_question(monkeypatch)
    with pytest.raises(management.InterruptProcessingException):
        run(node, learnable, training_set, samples=100)
    (result,) = saved(folders).values()
    assert "partial_00001.json" in saved(folders)
    assert 0 < result.samples < 100
    assert learnable.patches == before


def test_a_cancel_before_the_first_step_saves_nothing(node, folders, learnable, training_set, monkeypatch):
    import comfy.model_management as management

    def cancelled():
        raise management.InterruptProcessingException()

    monkeypatch.setattr(management, "throw_exception_if_processing_interrupted", cancelled)
    with pytest.raises(management.InterruptProcessingException):
        run(node, learnable, training_set)
    assert not saved(folders)


def test_a_loss_that_is_not_finite_keeps_the_last_good_rates(node, folders, learnable, training_set, monkeypatch):
    from appl_search.gradients.evaluator import Evaluator
    from appl_search.searching.events import SearchDiverged

    gradients, batches = Evaluator.gradients, []

    def breaks_at_the_third_batch(self, *arguments, **more):
        batch = gradients(self, *arguments, **more)
        batches.append(batch)
        if len(batches) == 3:
            batch.losses[:] = float("nan")
        return batch

    monkeypatch.setattr(Evaluator, "gradients", breaks_at_the_third_batch)
    with pytest.raises(SearchDiverged, match="at step 3"):
        run(node, learnable, training_set, samples=10)
    assert saved(folders)["partial_00001.json"].samples == 4


def test_progress_reaches_comfyuis_bar(node, folders, learnable, training_set, monkeypatch):
    import comfy.utils

    seen = []
    monkeypatch.setattr(comfy.utils, "PROGRESS_BAR_HOOK", lambda value, total, *_, **__: seen.append((value, total)))
    run(node, learnable, training_set, samples=5, unique_id="12:3")
    assert seen == [(2, 5), (4, 5), (5, 5)]


@pytest.mark.parametrize("method", ["gauss-newton", "adamw"])
def test_the_next_run_of_a_search_that_was_cut_off_goes_on_with_it_and_says_so(method, node, folders, learnable, training_set, monkeypatch):
    from appl_search.gradients.evaluator import Evaluator

    whole = run(node, learnable, training_set, method=method, samples=8)["result"]
    gradients, batches = Evaluator.gradients, []

    def breaks_at_the_third_batch(self, *arguments):
        batches.append(None)
        if len(batches) == 3:
            raise RuntimeError("broken")
        return gradients(self, *arguments)

    monkeypatch.setattr(Evaluator, "gradients", breaks_at_the_third_batch)
    with pytest.raises(RuntimeError, match="broken"):
        run(node, learnable, training_set, method=method, samples=8)
    assert len(list((folders / "output" / "block_weights" / "unfinished").iterdir())) == 1
    out = run(node, learnable, training_set, method=method, samples=8)["result"]
    assert len(batches) == 5
    assert rates(out[2]) == rates(whole[2])
    assert "Went on with an unfinished search, from 4 samples." in out[3]
    assert "unfinished" not in whole[3]
    assert list((folders / "output" / "block_weights" / "unfinished").iterdir()) == []

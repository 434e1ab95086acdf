"""A search that was stopped after any step, and resumed elsewhere, ends bit for bit as if it had not been."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from appl_search import LoraSource, Models, PreviewSettings, SearchSettings, Task, TrainingSet, open_search
from appl_search.demo import load_images, load_tiny_sdxl, lora_paths
from appl_search.gradients.evaluator import opened
from appl_search.searching.run import Run
from appl_search.searching.state import StateError, StateFile, describe
from appl_search.searching.team import Solo
from tests import oracle, other_process

LORA = LoraSource(oracle.LORA_A)
PLAIN = SearchSettings(samples=5, batch_size=2, tolerance=0.0, validation=2)
SETTINGS = [
    replace(PLAIN, min_snr_gamma=5.0, minimum=0.0, maximum=0.6, penalty=1e-3),
    replace(PLAIN, method="adamw", min_snr_gamma=5.0),
    replace(PLAIN, method="adamw", lr_schedule="constant", validation=0, minimum=0.3),
]


def task(settings=PLAIN, source=LORA, **more) -> Task:
    return replace(oracle.task(oracle.sdxl(), [source], settings), **more)


def same(one, other) -> bool:
    """Results but for the time they took."""
    return replace(one, seconds=0.0).to_json() == replace(other, seconds=0.0).to_json()


def states_of(task: Task, folder: Path, **more) -> tuple[object, list[Path]]:
    """The result of a search, and its state before the first and after each step."""
    with open_search(task, **more) as run:
        paths = [folder / "0.safetensors"]
        StateFile(paths[0], describe(task)).save(run.state_dict())
        for event in run:
            paths.append(folder / f"{event.step}.safetensors")
            StateFile(paths[-1], describe(task)).save(run.state_dict())
        return run.finish(), paths


@pytest.mark.parametrize("settings", SETTINGS, ids=lambda settings: f"{settings.method}, {settings.lr_schedule}")
def test_resumed_after_any_step_it_ends_in_the_same_result(settings, tmp_path):
    one = task(settings)
    whole, states = states_of(one, tmp_path)
    assert len(states) == 4
    with opened(one) as evaluator:
        for path in states:
            run = Run(one, evaluator, Solo(), print)
            run.load_state_dict(StateFile(path, describe(one)).load())
            for _ in run:
                pass
            assert same(run.finish(), whole), path


@pytest.mark.parametrize("method", ["gauss-newton", "adamw"])
def test_with_previews_and_text_encoders_too(method, tmp_path):
    images, captions = load_images("train")
    demo = Task(
        models=Models(**dict(zip(("model", "clip", "vae"), load_tiny_sdxl()))),
        loras=[LoraSource(lora_paths()["character"])],
        images=TrainingSet.from_images(images[:3], captions[:3]),
        settings=replace(PLAIN, method=method),
        previews=PreviewSettings("a zibby", every=3, width=64, height=64, steps=1),
    )
    seen, again = [], []
    whole, states = states_of(demo, tmp_path, on_preview=seen.append)
    with open_search(demo, on_preview=again.append) as run:
        run.load_state_dict(StateFile(states[2], describe(demo)).load())
        for _ in run:
            pass
        assert same(run.finish(), whole)
    assert [preview.samples for preview in seen] == [0, 4, 5]
    assert [preview.samples for preview in again] == [4, 5]
    assert all(torch.equal(one.latent, other.latent) for one, other in zip(seen[1:], again))


def test_another_process_goes_on_with_it(tmp_path):
    whole, states = states_of(task(), tmp_path)
    program = f"""
with open_search(task()) as run:
    run.load_state_dict(StateFile({str(states[2])!r}, describe(run.task)).load())
    for _ in run:
        pass
    print(run.finish().to_json())
"""
    imports = "from tests.test_resume import StateFile, describe, open_search, task"
    done = other_process.run([imports, program])
    assert done.returncode == 0, done.stderr
    resumed, expected = json.loads(done.stdout), json.loads(whole.to_json())
    assert {**resumed, "seconds": 0} == {**expected, "seconds": 0}


@pytest.mark.parametrize(
    "change, says",
    [
        ({"settings": replace(PLAIN, seed=1)}, "its seed was 0, not 1"),
        ({"loras": [LoraSource(oracle.LORA_B)]}, "its LoRAs were lora_a"),
        ({"loras": [LoraSource(oracle.LORA_A, fixed={"IN07": 0.0})]}, "fixed rates"),
        ({"images": TrainingSet(oracle.training_set().items[:5])}, "other training images"),
        ({"draws": oracle.recorded_draws()}, "other recorded draws"),
    ],
)
def test_a_state_of_another_search_is_refused(change, says, tmp_path):
    path = tmp_path / "state.safetensors"
    with open_search(task()) as run:
        next(run)
        StateFile(path, describe(run.task)).save(run.state_dict())
    with pytest.raises(StateError, match=f"is of another search: .*{says}"):
        StateFile(path, describe(task(**change))).load()


def test_a_state_of_another_model_is_refused():
    with open_search(task()) as run:
        state = run.state_dict()
    other = task()
    other.models.model.model.diffusion_model.out[2].weight.data *= 1.02
    with open_search(other) as run:
        with pytest.raises(StateError, match="of another model"):
            run.load_state_dict(state)


def test_a_file_that_is_no_state_is_refused(tmp_path):
    path = tmp_path / "state.safetensors"
    with pytest.raises(StateError, match="state.safetensors cannot be read"):
        StateFile(path, describe(task())).load()
    path.write_bytes(b"not a state")
    with pytest.raises(StateError, match="cannot be read"):
        StateFile(path, describe(task())).load()
    save_file({"a": torch.zeros(2)}, path)
    with pytest.raises(StateError, match="not the state of a search"):
        StateFile(path, describe(task())).load()


def test_a_failed_write_leaves_the_former_state_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "state.safetensors"
    file = StateFile(path, describe(task()))
    file.save({"method": {"w": torch.ones(2), "n": 1}})
    before = path.read_bytes()

    def full(_):
        raise OSError("No space left on device")

    monkeypatch.setattr("appl_search.searching.state.os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        file.save({"method": {"w": torch.zeros(2), "n": 2}})
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


def test_a_step_that_failed_was_not_taken(monkeypatch):
    """Neither the draws nor the method have moved: the same step again gives what it would have given."""
    from appl_search.gradients.evaluator import Evaluator

    gradients = Evaluator.gradients
    with open_search(task()) as run:
        whole = [event.loss for event in run]
    with open_search(task()) as run:
        next(run)
        monkeypatch.setattr(Evaluator, "gradients", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            next(run)
        monkeypatch.setattr(Evaluator, "gradients", gradients)
        state = run.state_dict()
        assert [event.loss for event in run] == whole[1:]
    assert state["draws"] == {"position": 2}

"""Whatever ends a search, the same search goes on from where its state was saved, and ends as if nothing had been."""

from __future__ import annotations

import signal
from dataclasses import replace

import pytest

from appl_search import open_search
from appl_search.gradients.evaluator import Evaluator
from appl_search.searching import safekeeping
from appl_search.searching.events import SearchDiverged
from appl_search.searching.safekeeping import Safekeeping
from tests import other_process
from tests.test_resume import PLAIN, same, task

LONG = replace(PLAIN, samples=12, check_gradient=False)


def searched(folder, one=None, seconds=0.0, on_step=lambda event: None):
    """(result, what kept it) of a search that is not forgotten at its end."""
    with open_search(one or task(LONG)) as run, Safekeeping(folder, run, seconds) as kept:
        for event in run:
            kept.after_step()
            on_step(event)
        return run.finish(), kept


def break_at(number):
    def on_step(event):
        if event.step == number:
            raise RuntimeError("broken")

    return on_step


@pytest.fixture(scope="module")
def whole():
    with open_search(task(LONG)) as run:
        for _ in run:
            pass
        return run.finish()


def test_after_kill_9_it_goes_on(tmp_path, whole):
    program = f"""
from pathlib import Path
from tests.test_safekeeping import LONG, searched
searched(Path({str(tmp_path)!r}), on_step=lambda event: print(event.step, flush=True))
"""
    process = other_process.start([program])
    for line in process.stdout:
        if int(line) == 3:
            break
    process.kill()
    assert process.wait(60) == -signal.SIGKILL
    process.communicate()
    result, kept = searched(tmp_path)
    assert 6 <= kept.resumed_at < 12
    assert same(result, whole)
    kept.forget()
    assert list(tmp_path.iterdir()) == []


def test_an_error_saves_what_there_is_at_once(tmp_path, whole):
    with pytest.raises(RuntimeError, match="broken"):
        searched(tmp_path, seconds=1000, on_step=break_at(2))
    result, kept = searched(tmp_path)
    assert kept.resumed_at == 4 and same(result, whole)


def test_it_is_saved_every_so_many_seconds(tmp_path, monkeypatch):
    now, saved = [0.0], []
    monkeypatch.setattr(safekeeping.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(safekeeping.StateFile, "save", lambda self, state: saved.append(state["draws"]["position"]))

    def on_step(event):
        now[0] += 10

    searched(tmp_path, seconds=30, on_step=on_step)
    assert saved == [8]


def test_a_loss_that_is_not_finite_is_not_kept(tmp_path, monkeypatch):
    with pytest.raises(RuntimeError):
        searched(tmp_path, on_step=break_at(1))
    assert len(list(tmp_path.iterdir())) == 1
    gradients = Evaluator.gradients

    def broken(*arguments):
        batch = gradients(*arguments)
        batch.losses[0] = float("nan")
        return batch

    monkeypatch.setattr(Evaluator, "gradients", broken)
    with pytest.raises(SearchDiverged):
        searched(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_ends_no_search_and_is_said_once(tmp_path, whole, monkeypatch, caplog):
    def full(*_):
        raise OSError("No space left on device")

    monkeypatch.setattr(safekeeping.StateFile, "save", full)
    result, _ = searched(tmp_path)
    assert same(result, whole) and caplog.text.count("No space left") == 1


def test_a_damaged_state_or_one_of_another_model_is_left_alone(tmp_path, whole, caplog):
    with pytest.raises(RuntimeError):
        searched(tmp_path, on_step=break_at(1))
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:-100])
    result, kept = searched(tmp_path)
    assert kept.resumed_at == 0 and same(result, whole) and "starts anew" in caplog.text
    other = task(LONG)
    other.models.model.model.diffusion_model.out[2].weight.data *= 1.02
    assert searched(tmp_path, other)[1].resumed_at == 0
    assert "of another model" in caplog.text


def test_another_search_begins_at_its_beginning_and_old_states_go(tmp_path, monkeypatch):
    monkeypatch.setattr(safekeeping, "KEPT", 2)
    for seed in range(4):
        with pytest.raises(RuntimeError):
            searched(tmp_path, task(replace(LONG, seed=seed)), on_step=break_at(1))
    assert len(list(tmp_path.iterdir())) == 2
    assert searched(tmp_path, task(replace(LONG, seed=3)))[1].resumed_at == 2
    assert searched(tmp_path, task(replace(LONG, seed=0)))[1].resumed_at == 0

"""Several processes search as one does: the same rates, from any state to any number of them, and they end together."""

from __future__ import annotations

import os
import re
import signal
import time
from pathlib import Path

import pytest
import torch

from appl_search import SearchResult
from appl_search.gradients.batch import Gradients
from appl_search.searching.team import Solo, _dealt
from tests.cli import shell
from tests.forked import Launcher

SHORT = ["--samples", 10, "--batch-size", 5, "--no-check-gradient"]
ONLY_THE_SECOND = 'import os\nif os.environ["RANK"] == "1":\n'


@pytest.fixture(scope="module")
def launcher():
    if not hasattr(os, "fork"):
        pytest.skip("this system cannot fork processes")
    with Launcher() as launcher:
        yield launcher


@pytest.fixture(scope="module")
def alone(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("alone")
    assert shell.search(folder, short=SHORT) == 0
    return folder


def command(output: Path, *arguments) -> list[object]:
    return ["search", "--model", "demo", "--lora", shell.LORAS["style"], "--images", shell.IMAGES, "--output", output, *arguments]


def assert_found_the_same(folder: Path, other: Path) -> None:
    """But for rounding: a picture that is computed beside others differs in the last bits, and these by what a step makes of them."""
    one, two = (SearchResult.from_json((each / "found.json").read_text(encoding="utf-8")) for each in (folder, other))
    torch.testing.assert_close(one.history.loss, two.history.loss, rtol=1e-4, atol=0)
    torch.testing.assert_close(torch.tensor(one.block_weights[0].values), torch.tensor(two.block_weights[0].values), rtol=0, atol=3e-4)


def test_rows_come_back_in_their_order():
    whole = torch.arange(14.0).view(7, 2)
    torch.testing.assert_close(_dealt([whole[number::3] for number in range(3)]), whole)
    nothing = torch.zeros(0, 2)
    torch.testing.assert_close(_dealt([whole[:1], nothing, nothing]), whole[:1])


def test_one_alone_has_all_rows_and_raises_its_own_errors():
    part = Gradients(torch.zeros(2), torch.zeros(2, 1), torch.zeros(0, 1))
    assert list(Solo().mine(3)) == [0, 1, 2] and Solo().gather(part) is part
    with pytest.raises(ZeroDivisionError):
        Solo().agree(error=ZeroDivisionError())


@pytest.mark.parametrize("count", [2, 4])
def test_several_find_what_one_finds_and_one_of_them_writes(count, alone, launcher, tmp_path):
    launcher.start(count, tmp_path / "said", command(tmp_path, *SHORT))
    said = launcher.ended()
    assert [status for status, _ in said] == [0] * count, said
    assert_found_the_same(tmp_path, alone)
    assert "found.json" in said[0][1]
    assert all("found.json" not in text and "%" not in text for _, text in said[1:])


def test_a_search_of_two_is_interrupted_and_goes_on_with_three(alone, launcher, tmp_path):
    """Ctrl-C comes to one of the two only."""
    interrupt = f"""{ONLY_THE_SECOND}
    import os
    from appl_search.searching.run import Run
    event = Run._event
    Run._event = lambda *given: (os.kill(os.getpid(), {int(signal.SIGINT)}), event(*given))[1]
"""
    launcher.start(2, tmp_path / "said", command(tmp_path, *SHORT), interrupt)
    said = launcher.ended()
    assert [status for status, _ in said] == [130, 130], said
    assert ["give the same command again" in text for _, text in said] == [True, False]  # the first alone says it
    assert list((tmp_path / "unfinished").iterdir())
    launcher.start(3, tmp_path / "said", command(tmp_path, *SHORT))
    said = launcher.ended()
    assert [status for status, _ in said] == [0, 0, 0], said
    assert_found_the_same(tmp_path, alone)


def test_when_one_is_out_of_memory_the_others_say_so_and_end(launcher, tmp_path):
    full = f"""{ONLY_THE_SECOND}
    from appl_search.gradients.evaluator import Evaluator
    from appl_search.host.device import OUT_OF_MEMORY
    Evaluator.gradients = lambda *given: (_ for _ in ()).throw(OUT_OF_MEMORY("no room"))
"""
    launcher.start(2, tmp_path / "said", command(tmp_path, *SHORT), full)
    (status, said), (other_status, other_said) = launcher.ended()
    assert (status, other_status) == (1, 1) and "no room" in other_said
    assert re.search(r"error: Process 1 of the search failed, so all end. It said: \w+: no room", said), said


def test_when_one_is_killed_the_others_end_within_seconds(launcher, tmp_path):
    _, other = launcher.start(2, tmp_path / "said", command(tmp_path, "--samples", 100_000, "--tolerance", 0, "--no-check-gradient"))
    log = tmp_path / "found.jsonl"
    until = time.monotonic() + 60
    while not (log.exists() and log.stat().st_size) and time.monotonic() < until:
        time.sleep(0.05)
    os.kill(other, signal.SIGKILL)
    killed = time.monotonic()
    (status, said), (other_status, _) = launcher.ended()
    assert other_status == -signal.SIGKILL
    assert status == 1 and "Another process of the search is gone" in said, said
    assert time.monotonic() - killed < 20
    assert list((tmp_path / "unfinished").iterdir())  # what was found until then

"""What TensorBoard and W&B are told of a search. Stand-ins take the place of both: they need no account and no server."""

from __future__ import annotations

import json
import sys
from types import ModuleType

import pytest

from appl_search.cli.main import main
from appl_search.searching.events import SearchDiverged
from tests.cli import shell


class Wandb(ModuleType):
    """Takes note of what it is told, as the package `wandb` is told it."""

    class Error(Exception):
        """As W&B's own."""

    def __init__(self):
        super().__init__("wandb")
        self.begun: list[dict] = []
        self.logged: list[tuple[int, dict]] = []
        self.exit_codes: list[int] = []
        self.id = "first"

    def init(self, **how):  # noqa: D102
        self.begun.append(how)
        return self

    def log(self, row, step):  # noqa: D102
        self.logged.append((step, row))

    def finish(self, exit_code):  # noqa: D102
        self.exit_codes.append(exit_code)


class TensorBoard(ModuleType):
    """The same for `torch.utils.tensorboard`."""

    def __init__(self):
        super().__init__("torch.utils.tensorboard")
        self.begun: list[tuple[str, int]] = []
        self.scalars: list[tuple[str, float, int]] = []
        self.closed = 0

    def SummaryWriter(self, folder, purge_step):  # noqa: D102, N802
        self.begun.append((folder, purge_step))
        return self

    def add_scalar(self, name, value, step):  # noqa: D102
        self.scalars.append((name, value, step))

    def close(self):  # noqa: D102
        self.closed += 1


@pytest.fixture
def wandb(monkeypatch) -> Wandb:
    monkeypatch.delenv("WANDB_NAME", raising=False)
    made = Wandb()
    monkeypatch.setitem(sys.modules, "wandb", made)
    return made


@pytest.fixture
def tensorboard(monkeypatch) -> TensorBoard:
    made = TensorBoard()
    monkeypatch.setitem(sys.modules, "tensorboard", ModuleType("tensorboard"))
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", made)
    return made


def raises(error: Exception):
    def do() -> None:
        raise error

    return do


def rows(folder) -> list[dict]:
    return [json.loads(line) for line in (folder / "found.jsonl").read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize("chosen", [["all"], ["wandb", "tensorboard"], ["all", "wandb"]])
def test_both_get_every_row_once(tmp_path, wandb, tensorboard, chosen):
    assert shell.search(tmp_path, "--log_with", *chosen) == 0
    assert [row for _, row in wandb.logged] == rows(tmp_path) and [step for step, _ in wandb.logged] == [1, 2]
    assert tensorboard.scalars == [(name, value, row["step"]) for row in rows(tmp_path) for name, value in row.items()]
    assert wandb.begun == [{"dir": str(tmp_path), "name": "found", "id": None, "resume": None}]
    assert tensorboard.begun == [(str(tmp_path / "found"), 1)]
    assert (wandb.exit_codes, tensorboard.closed) == ([0], 1)


def test_runs_have_the_searchs_name_or_the_one_of_the_environment(tmp_path, wandb, monkeypatch):
    shell.search(tmp_path, "--log-with", "wandb", "--output_name", "mine")
    monkeypatch.setenv("WANDB_NAME", "theirs")
    shell.search(tmp_path, "--log-with", "wandb")
    assert [each["name"] for each in wandb.begun] == ["mine", "theirs"]


def test_a_search_that_goes_on_goes_on_with_its_run_and_a_new_one_has_a_new_run(tmp_path, wandb, monkeypatch):
    with monkeypatch.context() as patch:
        shell.at_step(patch, 1, shell.ctrl_c)
        assert shell.search(tmp_path, "--log-with", "wandb") == 130
    assert wandb.exit_codes == [1]
    assert shell.search(tmp_path, "--log-with", "wandb") == 0
    assert wandb.begun[1] == {"dir": str(tmp_path), "name": "found", "id": "first", "resume": "allow"}
    assert [step for step, _ in wandb.logged] == [1, 2] and wandb.exit_codes == [1, 0]
    assert shell.search(tmp_path, "--log-with", "wandb", "--overwrite") == 0
    assert wandb.begun[2]["id"] is None


@pytest.mark.parametrize("error, status", [(RuntimeError("broken"), 1), (SearchDiverged("no number", None), 1), (ValueError("bad"), 2)])
def test_an_error_ends_the_run_as_failed_and_closes_the_rest(tmp_path, wandb, tensorboard, monkeypatch, error, status):
    if isinstance(error, SearchDiverged):
        monkeypatch.setattr("appl_search.cli.outputs.Outputs.save_partial", lambda self, result: tmp_path / "found.partial.json")
    shell.at_step(monkeypatch, 2, raises(error))
    assert shell.search(tmp_path, "--log-with", "all") == status
    assert (wandb.exit_codes, tensorboard.closed) == ([1], 1) and len(rows(tmp_path)) == 1


def test_a_tracker_that_cannot_start_is_named_and_what_is_open_is_closed(tmp_path, wandb, tensorboard, monkeypatch, capsys):
    def refuses(**_):
        raise wandb.Error("no API key configured")

    monkeypatch.setattr(wandb, "init", refuses)
    assert shell.search(tmp_path, "--log-with", "all") == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith("error: --log-with wandb: W&B cannot start a run: no API key configured.") and "WANDB_MODE=offline" in said
    assert tensorboard.closed == 1 and wandb.exit_codes == []


@pytest.mark.parametrize("name, package", [("wandb", "wandb"), ("tensorboard", "tensorboard"), ("all", "wandb")])
def test_a_tracker_that_is_not_installed_is_named_before_anything_is_done(tmp_path, capsys, monkeypatch, tensorboard, name, package):
    monkeypatch.setitem(sys.modules, package, None)
    assert shell.search(tmp_path / "new", "--log-with", name) == 2
    assert f"error: --log-with {package} needs the package {package}: pip install {package}.\n" == capsys.readouterr().err
    assert not (tmp_path / "new").exists()


def test_a_tracker_that_there_is_not_is_refused(capsys):
    assert main(["search", "--model", "demo", "--lora", "a", "--images", "b", "--log-with", "mlflow"]) == 2
    assert "'tensorboard', 'wandb', 'all'" in capsys.readouterr().err

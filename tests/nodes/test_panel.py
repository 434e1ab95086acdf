"""What the panel on the page is told of a search, and what it can ask for."""

from __future__ import annotations

import json
import math
import sys
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from appl_search import LoraSource, PreviewSettings, SearchResult, SearchSettings
from appl_search.loras.rules import BlockRules
from appl_search.report.figures import draw
from appl_search.searching.events import Event
from appl_search.searching.methods.quadratic import Quadratic
from appl_search.searching.penalty_path import PenaltyPath
from appl_search.weights.fields import Fields
from tests import oracle, pack
from tests.nodes.results import result_for

PACK = pack.load_pack()
running_search = sys.modules[f"{pack.NAME}.nodes.panel.running_search"]
last_search = sys.modules[f"{pack.NAME}.nodes.support.last_search"]
panel_state = sys.modules[f"{pack.NAME}.nodes.panel.state"]
files = sys.modules[f"{pack.NAME}.nodes.support.files"]
SETTINGS = SearchSettings(samples=160, batch_size=2)
RESULT = result_for((oracle.LORA_A, {"IN04": 0.5}))


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The messages that reach the page, as the JSON that it gets."""
    messages: list[dict[str, Any]] = []

    def send_sync(event: str, data: dict[str, Any], client: str) -> None:
        assert (event, client) == ("appl_search.progress", "the page")
        messages.append(json.loads(json.dumps(data, allow_nan=False)))

    server = SimpleNamespace(client_id="the page", last_prompt_id="p", send_sync=send_sync)
    module = SimpleNamespace(PromptServer=SimpleNamespace(instance=server))
    monkeypatch.setitem(sys.modules, "server", module)
    return messages


def event(step: int) -> Event:
    """Of a step that goes on from 0.1, 0.2 ..., with a result elsewhere."""
    rates = torch.full((1, 20), step / 10, dtype=torch.float64)
    return Event(
        step=step, steps=80, samples=2 * step, total_samples=160, loss=step / 10, penalty=0.0, seconds=step / 2,
        block_weights=rates, result=lambda: RESULT,
    )  # fmt: skip


def listening(node_id: str | None = "1:2"):
    return running_search.RunningSearch(node_id, "w", [LoraSource(oracle.LORA_A)], SETTINGS)


def test_the_first_message_says_what_is_searched(sent):
    with listening():
        (first,) = sent
    assert (first["kind"], first["node"], first["workflow"], first["prompt"]) == ("start", "1:2", "w", "p")
    (lora,) = first["loras"]
    assert lora["name"] == "lora_a" and len(lora["keys"]) == 20 and sum(lora["keys"]) == sum(lora["groups"].values())
    assert (first["steps"], first["total"]) == (80, 160)
    assert first["default_format"] in dict(first["formats"])


def test_the_page_is_told_the_blocks_before_a_search_and_with_its_result(sent):
    with listening():
        (first,) = sent
    for told in (first, panel_state.of_result(RESULT, "a.json")):
        names = [lora["keys"] for lora in told["loras"]] + [told["blocks"], told["about"], told["loras"][0].get("rates", told["blocks"])]
        assert {len(one) for one in names} == {20}
        assert told["blocks"][5] == "IN04" and told["about"][5] == "attention and convolutions at 1/16 of the picture's size"
        covered = [section["name"] for section in told["sections"] for _ in range(section["count"])]
        assert all(block.startswith(section) for block, section in zip(told["blocks"], covered, strict=True))
        assert [section["first"] for section in told["sections"]] == [0, 1, 10, 11]


def test_few_messages_are_sent_and_no_loss_is_lost(sent, monkeypatch):
    now = iter(range(1000))
    monkeypatch.setattr(running_search.time, "monotonic", lambda: 10 + next(now) / 20)  # twenty steps a second
    with listening() as listener:
        assert [listener(event(step)) for step in range(1, 61)] == [False] * 60
    steps = [message for message in sent if message["kind"] == "step"]
    assert 12 <= len(steps) <= 19
    assert sum(len(message["loss"]) for message in steps) == steps[-1]["step"]


def test_steps_and_results_carry_the_best_single_strength(sent):
    # (w - 0.25)^2 in one rate: the best strength and the loss there are known.
    one = torch.ones(1, dtype=torch.float64)
    model = Quadratic(
        center=0 * one, loss=0.3 + 0.0625, gradient=-0.5 * one, hessian=2 * one[None], noise=one[None], counts=one,
        negative_penalty=10.0, lower=-math.inf, upper=math.inf,
    )  # fmt: skip
    parameter_of = torch.tensor([[-1, 0, *[-1] * 18]])
    path = PenaltyPath(model, parameter_of, torch.zeros(1, 20, dtype=torch.float64))
    result = replace(result_for((oracle.LORA_A, {})), penalty_path=path)
    with listening() as listener:
        listener(replace(event(1), result=lambda: result))
    assert sent[-1]["single"] == {"strengths": [0.25], "loss": 0.3}
    assert panel_state.of_result(result, "a.json")["single"] == {"strengths": [0.25], "loss": 0.3}
    assert panel_state.of_result(replace(result, penalty_path=None), "a.json")["single"] is None


def test_a_page_that_was_loaded_again_gets_all_at_once(sent):
    with listening() as listener:
        listener(event(1))
        listener(event(2))
        (whole,) = running_search.snapshots()
        assert (whole["kind"], whole["step"]) == ("start", 2)
        assert whole["loss"] == [0.1, 0.2] and whole["mean"] == pytest.approx([0.1, 0.15])
    assert running_search.snapshots() == []


def test_bars_and_whiskers_are_of_the_same_block_weights(sent):
    """Standard errors are those of the best block weights so far, so the bars must be too."""
    with listening() as listener:
        listener(event(1))
        (snapshot,) = running_search.snapshots()
    for told in (sent[-1], snapshot):
        assert told["rates"] == [list(RESULT.block_weights[0].values)] and told["rates"][0][5] == 0.5
        assert told["errors"] == [[None, *[0.01] * 19]]


def test_the_page_draws_the_mean_curve_of_the_figures(sent):
    losses = [1 / step for step in range(1, 601)]
    with listening() as listener:
        for step, loss in enumerate(losses, 1):
            listener(replace(event(step), loss=loss))
        (snapshot,) = running_search.snapshots()
    figure = draw(_of_losses(losses), "loss", "dark", 6, 4)
    drawn = {line.get_label(): line.get_ydata() for line in figure.axes[0].lines}["running mean"]
    assert snapshot["mean"] == pytest.approx(drawn, rel=1e-4)
    streamed = [mean for message in sent if message["kind"] == "step" for mean in message["mean"]]
    assert streamed == snapshot["mean"][: len(streamed)]
    state = panel_state.of_result(_of_losses(losses), "a.json")
    assert state["every"] == 3 and state["mean"] == pytest.approx(drawn[2::3], rel=1e-4)


def _of_losses(losses: list[float]) -> SearchResult:
    history = replace(RESULT.history, loss=torch.tensor(losses))
    return replace(RESULT, history=history)


def test_the_page_gets_the_sheet_of_previews_at_once_and_when_it_was_loaded_again(sent):
    sheet = {"filename": "a.png", "subfolder": "", "type": "temp", "width": 4, "height": 1, "text": "start"}
    with listening() as listener:
        listener.show_previews(sheet)
        assert (sent[-1]["kind"], sent[-1]["node"], sent[-1]["previews"]) == ("previews", "1:2", sheet)
        assert running_search.snapshots()[0]["previews"] == sheet


def test_finish_reaches_the_search_of_that_node_only(sent):
    with listening("1:2") as one, listening("7") as other:
        assert running_search.finish("1:2") and not running_search.finish("3")
        assert one(event(1)) and not other(event(1))
    assert not running_search.finish("1:2")


def test_without_a_server_nothing_is_sent(monkeypatch):
    monkeypatch.delitem(sys.modules, "server", raising=False)
    with listening(None) as listener:
        assert listener(event(1)) is False


def test_the_state_is_short_and_json(sent):
    result = result_for((oracle.LORA_A, {"IN04": 0.5}))
    long = result.history.__class__(result.history.block_weights, torch.rand(5000), torch.zeros(5000))
    state = panel_state.of_result(SearchResult(result.block_weights, long, result.settings, 16, 1.5, "eps"), "a.json")
    assert len(json.dumps(state, allow_nan=False)) < 30_000
    assert len(state["loss"]) <= 240 and state["every"] * len(state["loss"]) >= 5000
    (lora,) = state["loras"]
    assert lora["rates"][5] == 0.5 and lora["errors"][0] is None
    assert set(lora["strings"]) == {name for name, _ in state["formats"]}


def test_strings_of_rates_that_the_page_chose():
    (weights,) = result_for((oracle.LORA_A, {"IN04": 0.5})).block_weights
    asked = {**panel_state.lora(weights.layout, BlockRules.none(weights.layout.architecture)), "rates": list(weights.values)}
    asked["errors"] = [None if error != error else error for error in weights.stderr]
    assert panel_state.strings_of([Fields(asked)]) == [panel_state.strings(weights)]
    with pytest.raises(ValueError, match="There is no field groups"):
        panel_state.strings_of([Fields({"name": "a"})])


@pytest.mark.parametrize("file", ["../a.json", "/etc/passwd", "a.txt", ""])
def test_only_results_can_be_read(folders, file):
    with pytest.raises(ValueError, match="is no .json file in"):
        files.inside(files.result_folder(), file, ".json")


class Thing:
    """Stands for a model."""


def test_a_search_is_kept_for_the_same_objects_and_settings_only():
    model, other = Thing(), Thing()
    sources = [LoraSource(oracle.LORA_A)]
    inputs = last_search.SearchInputs.of([model, None], sources, SETTINGS, None)
    assert inputs.give_the_same_search_as(last_search.SearchInputs.of([model, None], sources, SETTINGS, None))
    assert not inputs.give_the_same_search_as(last_search.SearchInputs.of([other, None], sources, SETTINGS, None))
    assert not inputs.give_the_same_search_as(last_search.SearchInputs.of([model, other], sources, SETTINGS, None))
    assert not inputs.give_the_same_search_as(last_search.SearchInputs.of([model, None], [LoraSource(oracle.LORA_B)], SETTINGS, None))
    assert not inputs.give_the_same_search_as(last_search.SearchInputs.of([model, None], sources, SearchSettings(seed=1), None))
    assert not inputs.give_the_same_search_as(last_search.SearchInputs.of([model, None], sources, SETTINGS, PreviewSettings("a cat")))
    of_a_gone_one = last_search.SearchInputs.of([Thing()], sources, SETTINGS, None)
    assert not of_a_gone_one.give_the_same_search_as(of_a_gone_one)

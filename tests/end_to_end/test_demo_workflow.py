"""The demo workflow in a real ComfyUI: it runs, it can be cancelled, and its errors reach the page."""

from __future__ import annotations

import copy
import time
from typing import Any

import pytest

from appl_search import BlockWeights, LoraSource, demo
from tests.end_to_end.comfy_client import ComfyClient, Event, Run
from tests.end_to_end.comfy_server import ComfyServer
from tests.end_to_end.examples import short_example
from tests.end_to_end.workflow import nodes_of_type, to_api

PATIENCE = 900.0  # seconds for a whole run on a slow machine
CANCEL_SECONDS = 10.0
SAMPLES, BATCH = 8, 4  # two steps
Prompt = dict[str, Any]


@pytest.fixture(scope="module")
def demo_prompt(comfy: ComfyServer) -> Prompt:
    """The demo with less of a search and of sampling."""
    prompt = to_api(short_example("demo"), comfy.get_json("/object_info"))
    (settings,) = nodes_of_type(prompt, "ApplSearchSettings")
    return with_inputs(with_inputs(prompt, the_search(prompt), samples=SAMPLES), settings, batch_size=BATCH)


@pytest.fixture(scope="module")
def demo_run(comfy: ComfyServer, demo_prompt: Prompt) -> Run:
    with ComfyClient(comfy) as client:
        return client.queue(demo_prompt).succeed(PATIENCE)


def the_search(prompt: Prompt) -> str:
    (node_id,) = nodes_of_type(prompt, "ApplSearchRun")
    return node_id


def with_inputs(prompt: Prompt, node_id: str, **inputs: Any) -> Prompt:
    """The graph with other inputs at one node."""
    changed = copy.deepcopy(prompt)
    changed[node_id]["inputs"].update(inputs)
    return changed


def searched_loras(prompt: Prompt) -> list[str]:
    """The names of the LoRAs that the search node finds on its model, the first loaded first."""
    names = []
    node = prompt[prompt[the_search(prompt)]["inputs"]["model"][0]]
    while "model" in node["inputs"]:
        if node["class_type"] == "ApplSearchLoadLora":
            names.append(node["inputs"]["lora_name"])
        node = prompt[node["inputs"]["model"][0]]
    return names[::-1]


def is_progress_of(node_id: str):
    def wanted(event: Event) -> bool:
        return event.type == "progress" and event.data["node"] == node_id

    return wanted


def test_the_strings_shown_are_the_weights_found(demo_run: Run, demo_prompt: Prompt, client: ComfyClient):
    """Each string, read back for its LoRA, gives the rates of the table beside it."""
    outputs = client.history(demo_run)["outputs"]
    strings = nodes_of_type(demo_prompt, "ApplSearchToString")
    assert strings
    for node_id in strings:
        lora = searched_loras(demo_prompt)[demo_prompt[node_id]["inputs"]["lora"] - 1]
        source = LoraSource(demo.lora_paths()[lora.removeprefix("[demo] ")])
        read_back = BlockWeights.parse(outputs[node_id]["text"][0], source)
        assert len(read_back.values) == 20
        rates = [value for value, there in zip(read_back.values, read_back.present) if there]
        shown = [rate for _, rate, _ in outputs[node_id]["table"]]
        assert rates == pytest.approx(shown, abs=1e-3)
        assert len({round(rate, 3) for rate in shown}) > 1, "a search that changes nothing"


def test_progress_rises_to_its_end(demo_run: Run, demo_prompt: Prompt):
    node_id = the_search(demo_prompt)
    progress = [event.data for event in demo_run.of_type("progress") if event.data["node"] == node_id]
    done = [data["value"] for data in progress]
    assert len(done) > 1
    assert done == sorted(done)
    assert done[-1] == progress[-1]["max"]


def test_images_are_made_and_the_result_is_saved(demo_run: Run, comfy: ComfyServer):
    images = [image for output in demo_run.outputs.values() for image in output.get("images", [])]
    assert images
    for image in images:
        folder = comfy.base / image["type"] / image["subfolder"]
        assert (folder / image["filename"]).stat().st_size > 1000
    assert list((comfy.output_folder / "block_weights").glob("*.json"))


def test_a_second_run_is_answered_from_the_cache(demo_run: Run, demo_prompt: Prompt, client: ComfyClient):
    again = client.queue(demo_prompt).succeed(PATIENCE)
    assert the_search(demo_prompt) not in {event.data["node"] for event in again.of_type("executing")}
    assert client.object_info()


def test_cancel_ends_the_search_soon_and_the_next_one_works(
    comfy: ComfyServer, demo_prompt: Prompt, client: ComfyClient
):
    search = the_search(demo_prompt)
    run = client.queue(with_inputs(demo_prompt, search, samples=100_000, seed=1))
    run.wait_for(is_progress_of(search), PATIENCE)
    cancelled = time.monotonic()
    client.interrupt()
    run.wait(PATIENCE)
    seconds = time.monotonic() - cancelled
    assert run.failure is not None and run.failure.type == "execution_interrupted"
    assert run.failure.data["node_id"] == search
    assert seconds < CANCEL_SECONDS
    assert list((comfy.output_folder / "block_weights").glob("partial*.json"))
    client.queue(with_inputs(demo_prompt, search, samples=6, seed=2)).succeed(PATIENCE)


def test_a_node_s_error_reaches_the_page(demo_prompt: Prompt, client: ComfyClient):
    """MODEL and CLIP straight from the checkpoint, with no LoRA to search."""
    (checkpoint,) = nodes_of_type(demo_prompt, "ApplSearchTinySDXL")
    search = the_search(demo_prompt)
    without = with_inputs(demo_prompt, search, model=[checkpoint, 0], clip=[checkpoint, 1])
    run = client.queue(without).wait(PATIENCE)
    assert run.failure is not None and run.failure.type == "execution_error"
    assert run.failure.data["node_id"] == search
    assert "no LoRA to search" in run.failure.data["exception_message"]
    assert client.object_info()

"""Rates of one's own beside those that are searched, in a real ComfyUI and in its page."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end import camera
from tests.end_to_end.chromium import ComfyPage
from tests.end_to_end.comfy_client import ComfyClient, RunFailed
from tests.end_to_end.comfy_server import ComfyServer
from tests.end_to_end.demo_graph import of_nodes_to_choose_with

PATIENCE = 300.0
WIDGETS = {"method": "gauss-newton", "samples": 16, "penalty": 1e-4, "seed": 0}


def searched(rules: str, pinned: str | None = None) -> dict[str, Any]:
    """A prompt that searches the demo's style LoRA by rules; without ``pinned``, as workflows of before have it."""
    lora = {"model": ["1", 0], "clip": ["1", 1], "lora_name": "[demo] style", "init": 0.5, "block_rules": ["3", 0]}
    search = {"model": ["2", 0], "clip": ["2", 1], "vae": ["1", 2], "training_images": ["1", 3], **WIDGETS}
    return {
        "1": {"class_type": "ApplSearchTinySDXL", "inputs": {}},
        "2": {"class_type": "ApplSearchLoadLora", "inputs": lora},
        "3": {"class_type": "ApplSearchBlockRules", "inputs": {"preset": "one rate per section", "rules": rules}},
        "4": {"class_type": "ApplSearchRun", "inputs": search | ({} if pinned is None else {"pinned": pinned})},
    }


def found(client: ComfyClient, comfy: ComfyServer, prompt: dict[str, Any]) -> dict[str, Any]:
    """What the panel shows of the search, and the file that it saved."""
    (state,) = client.queue(prompt).succeed(PATIENCE).outputs["4"]["appl_search"]
    saved = json.loads((comfy.output_folder / "block_weights" / state["file"]).read_text(encoding="utf-8"))
    return {**state["loras"][0], "rates": saved["loras"][0]["block_weights"], "rules": saved["rules"], "names": state["blocks"]}


def test_rules_and_pins_hold_in_a_search(client: ComfyClient, comfy: ComfyServer):
    lora = found(client, comfy, searched("IN00-IN02 = 0"))
    assert lora["rules"] == ["IN00-IN02 = 0; IN04-IN08 = same as IN03; OUT01-OUT08 = same as OUT00"]
    assert lora["rates"]["IN01"] == 0 and lora["rates"]["OUT03"] == lora["rates"]["OUT08"] != 0.5
    assert [name for name, fixed in zip(lora["names"], lora["fixed"]) if fixed] == ["IN00", "IN01", "IN02"]

    lora = found(client, comfy, searched("IN00-IN02 = 0", "style: MID = 0.25; IN01 = 0.75"))
    assert (lora["rates"]["MID"], lora["rates"]["IN01"], lora["rates"]["IN02"]) == (0.25, 0.75, 0)


def test_a_rule_that_cannot_be_read_stops_at_its_node(client: ComfyClient):
    with pytest.raises(RunFailed) as failed:
        client.queue(searched("IN00 = off")).succeed(PATIENCE)
    assert "'off' is no rule. Expected search, a number such as 0.5" in str(failed.value)


def test_the_nodes_in_the_page(canvas_page: ComfyPage, pictures: Path):
    canvas_page.load_without_search(of_nodes_to_choose_with())
    assert canvas_page.errors == []
    with camera.clear_view(canvas_page):
        for node in ("ApplSearchBlockRules",):
            camera.help_picture(canvas_page, pictures, node, [node])

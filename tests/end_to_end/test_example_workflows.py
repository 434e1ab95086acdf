"""The example workflows in a real ComfyUI: they fit its nodes, and equal ways give equal pictures. test_pictures.py runs them all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.end_to_end.comfy_client import ComfyClient
from tests.end_to_end.comfy_server import ComfyServer
from tests.end_to_end.examples import NAMES, definitions_for, example, short_example
from tests.end_to_end.workflow import MUTED, nodes_of_type, to_api
from tests.workflow_check import problems

PATIENCE = 600.0
#: Largest difference of two pictures that were made the same way, of 255. Saved LoRAs are fp16.
SAME, SAME_BUT_FOR_FP16 = 1, 12


def prompt_of(name: str, comfy: ComfyServer) -> dict[str, Any]:
    """A workflow as the server takes it, shortened."""
    workflow = short_example(name)
    return to_api(workflow, definitions_for(workflow, comfy))


def pictures(comfy: ComfyServer, prompt: dict[str, Any]) -> dict[str, np.ndarray]:
    """Runs a graph; the pictures [n, height, width, 3] of its Preview Image nodes by their titles."""
    with ComfyClient(comfy) as client:
        outputs = client.queue(prompt).succeed(PATIENCE).outputs
    found = {}
    for node_id in nodes_of_type(prompt, "PreviewImage"):
        files = [comfy.base / image["type"] / image["subfolder"] / image["filename"] for image in outputs[node_id]["images"]]
        shown = [np.asarray(Image.open(file).convert("RGB"), dtype=np.int16) for file in files]
        found[prompt[node_id]["_meta"]["title"]] = np.stack(shown)
    return found


def difference(one: np.ndarray, other: np.ndarray) -> int:
    return int(np.abs(one - other).max())


@pytest.mark.parametrize("name", NAMES)
def test_example_workflow_fits_this_comfyui(name: str, comfy: ComfyServer, loras_folder: Path):
    workflow = example(name)
    found = problems(workflow, definitions_for(workflow, comfy))
    assert found == []


def test_the_template_browser_has_them_all(comfy: ComfyServer):
    assert sorted(comfy.get_json("/workflow_templates")["appl-search"]) == NAMES


def test_inspire_apply_and_lbw_model_give_the_same_picture(comfy: ComfyServer, loras_folder: Path):
    prompt = prompt_of("inspire", comfy)
    shown = pictures(comfy, prompt)
    applied = shown["With Apply Block Weights"]
    assert difference(shown["With Inspire's loader"], applied) <= SAME

    (loader,) = nodes_of_type(prompt, "LoraLoaderBlockWeight //Inspire")
    inputs = prompt[loader]["inputs"]
    vector = {**inputs, "block_vector": ",".join(["0"] * 12)}
    other = pictures(comfy, {**prompt, loader: {**prompt[loader], "inputs": vector}})
    assert difference(other["With Inspire's loader"], applied) > 30, "other weights give the same picture"

    (apply,) = nodes_of_type(prompt, "ApplSearchApply")
    lbw = {name: prompt[apply]["inputs"][name] for name in ("model", "clip", "lora_name", "block_weights")}
    changed = {
        **prompt,
        "lbw": {"class_type": "ApplSearchToLBW", "inputs": {**lbw, "text": ""}},
        loader: {
            "class_type": "ApplyLBW //Inspire",
            "inputs": {"model": inputs["model"], "clip": inputs["clip"], "strength_model": 1.0, "strength_clip": 1.0, "lbw_model": ["lbw", 0]},
        },
    }  # fmt: skip
    assert difference(pictures(comfy, changed)["With Inspire's loader"], applied) <= SAME


def test_the_stock_loader_gives_the_same_picture_with_the_saved_lora(comfy: ComfyServer, loras_folder: Path):
    for saved_before in loras_folder.glob("style_lbw_*"):
        saved_before.unlink()  # by other tests, of other block weights
    applied = pictures(comfy, prompt_of("bake", comfy))["With Apply Block Weights"]
    assert (loras_folder / "style_lbw_00001.safetensors").is_file()

    workflow = short_example("bake")
    for node in workflow["nodes"]:
        node["mode"] = 0 if node["mode"] == MUTED else node["mode"]
    shown = pictures(comfy, to_api(workflow, comfy.get_json("/object_info")))["With the saved file, by the stock loader"]
    assert difference(shown, applied) <= SAME_BUT_FOR_FP16

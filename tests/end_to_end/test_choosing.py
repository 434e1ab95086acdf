"""Rates of one's own beside those that are searched, in a real ComfyUI and in its page."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from appl_search import demo
from appl_search.architectures.sdxl import SDXL
from tests.end_to_end import camera
from tests.end_to_end.building import QUICK
from tests.end_to_end.chromium import ComfyPage
from tests.end_to_end.comfy_client import ComfyClient, RunFailed
from tests.end_to_end.comfy_server import ComfyServer
from tests.end_to_end.demo_graph import of_nodes_to_choose_with, of_presets
from tests.nodes.results import result_for

PATIENCE = 300.0
#: What is shown of them in the page is on their help pages.
NODES = (
    "ApplSearchBlockRules", "ApplSearchToHooks", "ApplSearchToStack", "ApplSearchLoadStack", "ApplSearchSavePreset", "ApplSearchLoadPreset",
)  # fmt: skip
WIDGETS = {"method": "gauss-newton", "samples": 4, "penalty": 1e-4, "seed": 0}


def searched(rules: str, pinned: str | None = None) -> dict[str, Any]:
    """A prompt that searches the demo's style LoRA by rules; without ``pinned``, as workflows of before have it."""
    lora = {"model": ["1", 0], "clip": ["1", 1], "lora_name": "[demo] style", "init": 0.5, "block_rules": ["3", 0]}
    search = {"model": ["2", 0], "clip": ["2", 1], "vae": ["1", 2], "training_images": ["1", 3], "settings": ["5", 0], **WIDGETS}
    return {
        "1": {"class_type": "ApplSearchTinySDXL", "inputs": {}},
        "2": {"class_type": "ApplSearchLoadLora", "inputs": lora},
        "3": {"class_type": "ApplSearchBlockRules", "inputs": {"preset": "one rate per section", "rules": rules}},
        "4": {"class_type": "ApplSearchRun", "inputs": search | ({} if pinned is None else {"pinned": pinned})},
        "5": {"class_type": "ApplSearchSettings", "inputs": QUICK},
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


def pictured(client: ComfyClient, comfy: ComfyServer, more: dict[str, Any], model: list, positive: list) -> Image.Image:
    """A picture of the tiny SDXL (node 1) after a few steps; ids from 30 are taken."""
    size = {"width": 128, "height": 128, "batch_size": 1}
    sampler = {"seed": 1, "steps": 4, "cfg": 1.0, "sampler_name": "euler", "scheduler": "normal", "denoise": 1.0}
    prompt = {
        "1": {"class_type": "ApplSearchTinySDXL", "inputs": {}},
        **more,
        "30": {"class_type": "EmptyLatentImage", "inputs": size},
        "31": {"class_type": "CLIPTextEncode", "inputs": {"clip": ["1", 1], "text": "blurred"}},
        "32": {"class_type": "KSampler", "inputs": {"model": model, "positive": positive, "negative": ["31", 0], "latent_image": ["30", 0], **sampler}},
        "33": {"class_type": "VAEDecode", "inputs": {"samples": ["32", 0], "vae": ["1", 2]}},
        "34": {"class_type": "SaveImage", "inputs": {"images": ["33", 0], "filename_prefix": "hooks"}},
    }
    (image,) = client.queue(prompt).succeed(PATIENCE).outputs["34"]["images"]
    return Image.open(comfy.output_folder / image["subfolder"] / image["filename"]).convert("RGB")


def test_hooks_on_the_positive_prompt_give_the_picture_of_the_models_own_patches(client: ComfyClient, comfy: ComfyServer):
    """At cfg 1 the negative prompt has no say, so there both must be the same; by ComfyUI's own hook nodes."""
    known = comfy.get_json("/object_info")
    assert "ConditioningSetProperties" in known and "SetClipHooks" in known
    results = comfy.output_folder / "block_weights"
    results.mkdir(parents=True, exist_ok=True)
    rates = {"BASE": 1.5, "IN01": 0.0, "IN04": 1.2, "MID": -0.5, "OUT00": 1.3, "OUT03": 0.4}
    found = result_for(*((path, rates) for path in demo.lora_paths().values()))
    (results / "hooks.json").write_text(found.to_json(), encoding="utf-8")
    loaded = {"2": {"class_type": "ApplSearchLoadResult", "inputs": {"file": "hooks.json"}}}
    widgets = {"strength_model": 1.0, "strength_clip": 1.0}

    def prompt(clip: list) -> dict[str, Any]:
        return {"class_type": "CLIPTextEncode", "inputs": {"clip": clip, "text": "a zibby"}}

    hooked = {
        **loaded,
        "3": {"class_type": "ApplSearchToHooks", "inputs": {"block_weights": ["2", 0], "model": ["1", 0], "clip": ["1", 1], **widgets}},
        "4": {"class_type": "SetClipHooks", "inputs": {"clip": ["1", 1], "hooks": ["3", 0], "apply_to_conds": True, "schedule_clip": False}},
        "5": prompt(["4", 0]),
    }
    applied: dict[str, Any] = dict(loaded)
    model, clip = ["1", 0], ["1", 1]
    for number, name in enumerate(demo.lora_paths(), 6):
        inputs = {"model": model, "clip": clip, "lora_name": f"[demo] {name}", "block_weights": ["2", 0], "text": "", "format": "auto", **widgets}
        applied[str(number)] = {"class_type": "ApplSearchApply", "inputs": inputs}
        model, clip = [str(number), 0], [str(number), 1]
    applied["5"] = prompt(clip)
    plain = {"5": prompt(["1", 1])}
    hooks, patches, nothing = (
        np.asarray(pictured(client, comfy, nodes, of, ["5", 0])).astype(int) for nodes, of in ((hooked, ["1", 0]), (applied, model), (plain, ["1", 0]))
    )
    assert np.abs(patches - nothing).mean() > 5
    assert np.abs(hooks - patches).max() <= 2


def test_a_stack_is_searched_with_one_strength_and_the_found_one_goes_into_a_stack(client: ComfyClient, comfy: ComfyServer, loras_folder: Path):
    """From strengths that are saved, by way of a stack, to a search and to another stack."""
    for name, path in demo.lora_paths().items():
        shutil.copy(path, loras_folder / f"stacked {name}.safetensors")
    results = comfy.output_folder / "block_weights"
    results.mkdir(parents=True, exist_ok=True)
    paths = [loras_folder / f"stacked {name}.safetensors" for name in demo.lora_paths()]
    saved = result_for(*((path, dict.fromkeys(SDXL.blocks, 0.75)) for path in paths))
    (results / "stack.json").write_text(saved.to_json(), encoding="utf-8")
    search = {"model": ["4", 0], "clip": ["4", 1], "vae": ["1", 2], "training_images": ["1", 3], "settings": ["8", 0], **WIDGETS}
    prompt = {
        "1": {"class_type": "ApplSearchTinySDXL", "inputs": {}},
        "2": {"class_type": "ApplSearchLoadResult", "inputs": {"file": "stack.json"}},
        "3": {"class_type": "ApplSearchToStack", "inputs": {"block_weights": ["2", 0]}},
        "4": {"class_type": "ApplSearchLoadStack", "inputs": {"model": ["1", 0], "clip": ["1", 1], "lora_stack": ["3", 0], "block_rules": ["5", 0]}},
        "5": {"class_type": "ApplSearchBlockRules", "inputs": {"preset": "one rate for all", "rules": ""}},
        "6": {"class_type": "ApplSearchRun", "inputs": search},
        "7": {"class_type": "ApplSearchToStack", "inputs": {"block_weights": ["6", 2], "lora_stack": ["3", 0]}},
        "8": {"class_type": "ApplSearchSettings", "inputs": QUICK},
    }
    run = client.queue(prompt).succeed(PATIENCE)
    names = [path.name for path in paths]
    assert run.outputs["3"]["text"] == [f"{name}: 0.75, text encoders 0.75" for name in names]
    assert run.outputs["7"]["warnings"] == [] and [line.split(":")[0] for line in run.outputs["7"]["text"]] == names
    (state,) = run.outputs["6"]["appl_search"]
    for lora, line in zip(state["loras"], run.outputs["7"]["text"]):
        (rate,) = {rate for rate, keys in zip(lora["rates"], lora["keys"]) if keys}
        assert float(line.split()[2].rstrip(",")) == pytest.approx(rate, abs=1e-4) != 0.75


@pytest.fixture
def saved_preset(client: ComfyClient) -> tuple[str, str]:
    """(name, string) of a preset in the user folder."""
    name, string = "zibby in ink", "0,0.528,0.53,0.51,0.25,0.49,0.62,1,0,0,0.8,1"
    inputs = {"string": f"{name}:{string}", "name": "", "place": "user folder", "replace": True}
    client.queue({"1": {"class_type": "ApplSearchSavePreset", "inputs": inputs}}).succeed(PATIENCE)
    return name, string


def test_a_saved_preset_is_listed_and_loaded_by_its_name(client: ComfyClient, comfy: ComfyServer, saved_preset: tuple[str, str]):
    name, string = saved_preset
    info = comfy.get_json("/object_info/ApplSearchLoadPreset")["ApplSearchLoadPreset"]["input"]["required"]
    assert name in info["preset"][0]
    run = client.queue({"1": {"class_type": "ApplSearchLoadPreset", "inputs": {"preset": name}}}).succeed(PATIENCE)
    assert run.outputs["1"]["text"][0] == string


def test_inspires_own_loader_applies_a_preset_by_its_name_as_block_weights_are_applied(client: ComfyClient, comfy: ComfyServer, loras_folder: Path):
    """Its file of presets is put back as it was."""
    if "LoraLoaderBlockWeight //Inspire" not in comfy.get_json("/object_info"):
        pytest.skip("INSPIRE_PATH is not set: set it to the folder of ComfyUI-Inspire-Pack.")
    path = loras_folder / "preset style.safetensors"
    shutil.copy(demo.lora_paths()["style"], path)
    found = result_for((path, {"IN01": 0.0, "IN04": 1.25, "MID": -0.5, "OUT00": 0.75, "OUT03": 0.0, "OUT07": 1.5}))
    results = comfy.output_folder / "block_weights"
    results.mkdir(parents=True, exist_ok=True)
    (results / "preset.json").write_text(found.to_json(), encoding="utf-8")
    file = Path(os.environ["INSPIRE_PATH"]).expanduser() / "resources" / "lbw-preset.custom.txt"
    before = file.read_bytes() if file.is_file() else None
    loaded = {"2": {"class_type": "ApplSearchLoadResult", "inputs": {"file": "preset.json"}}}
    prompt = {"5": {"class_type": "CLIPTextEncode", "inputs": {"clip": ["1", 1], "text": "a zibby"}}}
    try:
        written = {"block_weights": ["2", 0], "lora": 1, "format": "inspire-preset", "digits": 3}
        save = {"string": ["3", 0], "name": "from a search", "place": "Inspire Pack", "replace": True}
        saved = {**loaded, "3": {"class_type": "ApplSearchToString", "inputs": written}, "4": {"class_type": "ApplSearchSavePreset", "inputs": save}}
        client.queue(saved).succeed(PATIENCE)
        if before is not None:
            assert file.read_bytes().startswith(before)
        named = {
            "model": ["1", 0], "clip": ["1", 1], "category_filter": "All", "lora_name": path.name, "strength_model": 1.0, "strength_clip": 1.0,
            "inverse": False, "seed": 0, "A": 4.0, "B": 1.0, "preset": "Preset", "block_vector": "from a search", "bypass": False,
        }  # fmt: skip
        by_name = pictured(client, comfy, {**prompt, "3": {"class_type": "LoraLoaderBlockWeight //Inspire", "inputs": named}}, ["3", 0], ["5", 0])
    finally:
        file.unlink(missing_ok=True) if before is None else file.write_bytes(before)
    apply = {"model": ["1", 0], "lora_name": path.name, "strength_model": 1.0, "strength_clip": 1.0, "block_weights": ["2", 0], "text": "", "format": "auto"}
    applied = pictured(client, comfy, {**loaded, **prompt, "3": {"class_type": "ApplSearchApply", "inputs": apply}}, ["3", 0], ["5", 0])
    plain = pictured(client, comfy, prompt, ["1", 0], ["5", 0])
    by_name, applied, plain = (np.asarray(picture).astype(int) for picture in (by_name, applied, plain))
    assert np.abs(applied - plain).mean() > 5
    assert np.abs(by_name - applied).max() <= 2


def test_the_page_shows_what_was_saved_and_loaded(page: ComfyPage, comfy: ComfyServer, saved_preset: tuple[str, str]):
    page.refresh_lists()
    page.load_without_search(of_presets(saved_preset[0]))
    page.run_to_end(comfy, PATIENCE)
    said = page.page.locator(".appl-search-text textarea")
    said.nth(2).wait_for()
    texts = sorted(said.nth(place).input_value() for place in range(said.count()))
    assert texts[0] == saved_preset[1] and texts[1].startswith("From ") and texts[2].startswith("Saved zibby in ")
    assert page.errors == []


def test_the_nodes_in_the_page(canvas_page: ComfyPage, pictures: Path | None, saved_preset: tuple[str, str]):
    canvas_page.refresh_lists()
    canvas_page.load_without_search(of_nodes_to_choose_with(saved_preset[0]))
    assert canvas_page.errors == []
    if pictures is None:
        return
    with camera.clear_view(canvas_page):
        for node in NODES:
            camera.help_picture(canvas_page, pictures, node, [node])

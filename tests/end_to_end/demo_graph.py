"""The demo workflow cut down to a search of a minute, as the page loads it, and with more around it."""

from __future__ import annotations

import copy
from typing import Any

from tests.end_to_end.examples import example

TYPES = ("ApplSearchTinySDXL", "ApplSearchLoadLora", "ApplSearchRun", "ApplSearchToString")
SAMPLES = 32  # two steps
PREVIEW_WIDGETS = ["a zibby", "", 16, 128, 128, 4, 4.0, "euler", "normal", 0]
Workflow = dict[str, Any]


def short_demo(seed: int, samples: int = SAMPLES) -> Workflow:
    """Without its pictures."""
    workflow = example("demo")
    nodes = [node for node in workflow["nodes"] if node["type"] in TYPES]
    kept = {node["id"] for node in nodes}
    links = [link for link in workflow["links"] if link[1] in kept and link[3] in kept]
    ids = {link[0] for link in links}
    for node in nodes:
        for slot in [*(node.get("inputs") or []), *(node.get("outputs") or [])]:
            if "links" in slot:
                slot["links"] = [link for link in slot["links"] or [] if link in ids]
            elif slot.get("link") not in ids:
                slot["link"] = None
        if node["type"] == "ApplSearchRun":
            node["widgets_values"][1], node["widgets_values"][3] = samples, seed
    return {**workflow, "id": f"00000000-0000-4000-8000-{seed:012}", "nodes": nodes, "links": links, "groups": []}


def the_search(workflow: Workflow) -> dict[str, Any]:
    (search,) = (node for node in workflow["nodes"] if node["type"] == "ApplSearchRun")
    return search


def with_previews(workflow: Workflow) -> Workflow:
    """And a node of preview pictures connected to the search."""
    workflow = copy.deepcopy(workflow)
    search = the_search(workflow)
    node = _add(workflow, "ApplSearchPreviews", _beside(search, -460), (400, 400), PREVIEW_WIDGETS)
    node["outputs"] = [{"name": "previews", "type": "APPL_SEARCH_PREVIEWS", "links": []}]
    _connect(workflow, node, 0, search, "previews")
    return workflow


def with_report(workflow: Workflow) -> Workflow:
    """And a report of what the search finds."""
    workflow = copy.deepcopy(workflow)
    search = the_search(workflow)
    node = _add(workflow, "ApplSearchReport", _beside(search, -460), (400, 190), ["browser"])
    node["inputs"] = [{"name": "block_weights", "type": "BLOCK_WEIGHTS", "link": None}]
    _connect(workflow, search, 2, node, "block_weights")
    return workflow


def with_another_search(workflow: Workflow, seed: int) -> Workflow:
    """And a second search of the same LoRAs, with another seed."""
    workflow = copy.deepcopy(workflow)
    first = the_search(workflow)
    widgets = [*first["widgets_values"][:3], seed, *first["widgets_values"][4:]]
    second = _add(workflow, "ApplSearchRun", _beside(first, 520), (440, 900), widgets)
    second["inputs"] = [{**slot, "link": None} for slot in first["inputs"]]
    second["outputs"] = [{**slot, "links": []} for slot in first["outputs"]]
    links = {link[0]: link for link in workflow["links"]}
    for slot in first["inputs"]:
        if slot["link"] is not None:
            _, source, output, *_ = links[slot["link"]]
            _connect(workflow, next(node for node in workflow["nodes"] if node["id"] == source), output, second, slot["name"])
    return workflow


def of_a_saved_result(file: str) -> Workflow:
    """No search: a result that is loaded, written as a string, and made an LBW_MODEL."""
    workflow: Workflow = {"last_node_id": 0, "last_link_id": 0, "nodes": [], "links": [], "groups": [], "version": 0.4}
    checkpoint = _add(workflow, "ApplSearchTinySDXL", (0, 0), (320, 146), [])
    checkpoint["outputs"] = [{"name": name, "type": name.upper(), "links": []} for name in ("model", "clip")]
    loaded = _add(workflow, "ApplSearchLoadResult", (0, 240), (420, 300), [file])
    loaded["outputs"] = [{"name": "block_weights", "type": "BLOCK_WEIGHTS", "links": []}]
    string = _add(workflow, "ApplSearchToString", (500, 400), (440, 300), [1, "inspire", 3])
    string["inputs"] = [{"name": "block_weights", "type": "BLOCK_WEIGHTS", "link": None}]
    lbw = _add(workflow, "ApplSearchToLBW", (500, 0), (400, 260), ["[demo] style", "", "auto"])
    types = {"model": "MODEL", "clip": "CLIP", "block_weights": "BLOCK_WEIGHTS"}
    lbw["inputs"] = [{"name": name, "type": kind, "link": None} for name, kind in types.items()]
    for source, output, target, name in ((loaded, 0, string, "block_weights"), (loaded, 0, lbw, "block_weights"), (checkpoint, 0, lbw, "model"), (checkpoint, 1, lbw, "clip")):
        _connect(workflow, source, output, target, name)
    return workflow


def of_nodes_in_no_example(folder: str) -> Workflow:
    """Those for training images of a folder in input/, and for noise and loss; they are not run."""
    workflow: Workflow = {"last_node_id": 0, "last_link_id": 0, "nodes": [], "links": [], "groups": [], "version": 0.4}
    options = _add(workflow, "ApplSearchTrainingOptions", (0, 0), (340, 720), [1024, 1024])
    options["outputs"] = [{"name": "options", "type": "APPL_SEARCH_TRAINING_OPTIONS", "links": []}]
    latents = _add(workflow, "ApplSearchTrainingLatents", (420, 300), (340, 90), [])
    latents["inputs"] = [{"name": name, "type": name.upper().removesuffix("S"), "link": None} for name in ("latents", "conditioning")]
    latents["outputs"] = [{"name": "training_images", "type": "TRAINING_IMAGES", "links": []}]
    files = _add(workflow, "ApplSearchTrainingFolder", (420, 0), (340, 150), [folder, True, "stop", ""])
    types = {"previous": "TRAINING_IMAGES", "options": "APPL_SEARCH_TRAINING_OPTIONS"}
    files["inputs"] = [{"name": name, "type": kind, "link": None} for name, kind in types.items()]
    files["outputs"] = [{"name": "training_images", "type": "TRAINING_IMAGES", "links": []}]
    _connect(workflow, options, 0, files, "options")
    _connect(workflow, latents, 0, files, "previous")
    noise = _add(workflow, "ApplSearchNoiseAndLoss", (840, 0), (340, 460), [700, 1000])
    noise["inputs"] = [{"name": "settings", "type": "APPL_SEARCH_SETTINGS", "link": None}]
    noise["outputs"] = [{"name": "settings", "type": "APPL_SEARCH_SETTINGS", "links": []}]
    return workflow


def of_nodes_to_choose_with(preset: str) -> Workflow:
    """Those that say which blocks are searched and where rates go to; they are not run. ``preset``: one that is there."""
    workflow: Workflow = {"last_node_id": 0, "last_link_id": 0, "nodes": [], "links": [], "groups": [], "version": 0.4}
    rules = _add(workflow, "ApplSearchBlockRules", (0, 0), (340, 200), ["one rate per section", "BASE = start\nIN00-IN02 = 0\nOUT01 = search"])
    rules["outputs"] = [{"name": "block_rules", "type": "APPL_SEARCH_BLOCK_RULES", "links": []}]
    hooks = _add(workflow, "ApplSearchToHooks", (420, 0), (300, 170), [1.0, 1.0])
    types = {"block_weights": "BLOCK_WEIGHTS", "model": "MODEL", "clip": "CLIP", "prev_hooks": "HOOKS"}
    hooks["inputs"] = [{"name": name, "type": kind, "link": None} for name, kind in types.items()]
    hooks["outputs"] = [{"name": "hooks", "type": "HOOKS", "links": []}]
    _add_presets(workflow, preset)
    stack = _add(workflow, "ApplSearchToStack", (800, 0), (300, 100), [])
    stack["inputs"] = [{"name": name, "type": name.upper(), "link": None} for name in ("block_weights", "lora_stack")]
    stack["outputs"] = [{"name": "lora_stack", "type": "LORA_STACK", "links": []}]
    loader = _add(workflow, "ApplSearchLoadStack", (800, 200), (320, 120), [])
    types = {"model": "MODEL", "lora_stack": "LORA_STACK", "clip": "CLIP", "block_rules": "APPL_SEARCH_BLOCK_RULES"}
    loader["inputs"] = [{"name": name, "type": kind, "link": None} for name, kind in types.items()]
    loader["outputs"] = [{"name": name, "type": name.upper(), "links": []} for name in ("model", "clip")]
    return workflow


def of_presets(preset: str) -> Workflow:
    """One that is loaded, and one that is saved beside it."""
    workflow: Workflow = {"last_node_id": 0, "last_link_id": 0, "nodes": [], "links": [], "groups": [], "version": 0.4}
    _add_presets(workflow, preset)
    return workflow


def _add_presets(workflow: Workflow, preset: str) -> None:
    _add(workflow, "ApplSearchSavePreset", (0, 300), (340, 300), ["zibby:0,0.528,0.53,0.51,0.25,0.49,0.62,1,0,0,0.8,1", "", "user folder", True])
    string = _add(workflow, "ApplSearchLoadPreset", (420, 300), (320, 160), [preset])
    string["outputs"] = [{"name": "string", "type": "STRING", "links": []}]


def _beside(node: dict[str, Any], x: int) -> tuple[int, int]:
    return node["pos"][0] + x, node["pos"][1]


def _add(workflow: Workflow, kind: str, pos: tuple[int, int], size: tuple[int, int], widgets: list[Any]) -> dict[str, Any]:
    number = max((node["id"] for node in workflow["nodes"]), default=0) + 1
    node = {
        "id": number, "type": kind, "pos": [*pos], "size": [*size], "flags": {}, "order": number, "mode": 0,
        "inputs": [], "outputs": [], "properties": {}, "widgets_values": widgets,
    }  # fmt: skip
    workflow["nodes"].append(node)
    workflow["last_node_id"] = number
    return node


def _connect(workflow: Workflow, source: dict[str, Any], output: int, target: dict[str, Any], name: str) -> None:
    number = workflow["last_link_id"] + 1
    slot = next(i for i, one in enumerate(target["inputs"]) if one["name"] == name)
    kind = source["outputs"][output]["type"]
    workflow["links"].append([number, source["id"], output, target["id"], slot, kind])
    source["outputs"][output]["links"].append(number)
    target["inputs"][slot]["link"] = number
    workflow["last_link_id"] = number

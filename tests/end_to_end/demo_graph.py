"""The demo workflow cut down to a search of some seconds, as the page loads it, and with more around it."""

from __future__ import annotations

import copy

from tests.end_to_end.building import Workflow, add, be_quick, beside, connect, the_search
from tests.end_to_end.examples import example

TYPES = ("ApplSearchTinySDXL", "ApplSearchLoadLora", "ApplSearchRun", "ApplSearchToString")
SAMPLES = BATCH = 2  # one step
FEW = "appl_search_few"  # a folder in ComfyUI's input/ with some of the demo's pictures: most of a short search is encoding them
PREVIEW_WIDGETS = ["a zibby", "", 8, 64, 64, 2, 1.0, "euler", "normal", 0]


def short_demo(seed: int, samples: int = SAMPLES, comparison: int = 0, few: bool = True) -> Workflow:
    """Without its pictures, and with quick settings.

    ``comparison``: on so many samples, of which each takes the time of four others. ``few``: it searches on FEW, not on all that it has.
    """
    workflow = example("demo")
    nodes = [node for node in workflow["nodes"] if node["type"] in TYPES]
    kept = {node["id"] for node in nodes}
    links = [link for link in workflow["links"] if link[1] in kept and link[3] in kept and not (few and link[5] == "TRAINING_IMAGES")]
    ids = {link[0] for link in links}
    for node in nodes:
        for slot in [*(node.get("inputs") or []), *(node.get("outputs") or [])]:
            if "links" in slot:
                slot["links"] = [link for link in slot["links"] or [] if link in ids]
            elif slot.get("link") not in ids:
                slot["link"] = None
        if node["type"] == "ApplSearchRun":
            node["widgets_values"][1], node["widgets_values"][3] = samples, seed
    workflow = {**workflow, "id": f"00000000-0000-4000-8000-{seed:012}", "nodes": nodes, "links": links, "groups": []}
    if few:
        search = the_search(workflow)
        folder = add(workflow, "ApplSearchTrainingFolder", beside(search, -800), (340, 170), [FEW, True, "stop", ""])
        folder["outputs"] = [{"name": "training_images", "type": "TRAINING_IMAGES", "links": []}]
        connect(workflow, folder, 0, search, "training_images")
    be_quick(workflow, comparison=comparison, **({"batch_size": BATCH} if few else {}))
    return workflow


def with_previews(workflow: Workflow) -> Workflow:
    """And a node of preview pictures connected to the search."""
    workflow = copy.deepcopy(workflow)
    search = the_search(workflow)
    node = add(workflow, "ApplSearchPreviews", beside(search, -460), (400, 400), PREVIEW_WIDGETS)
    node["outputs"] = [{"name": "previews", "type": "APPL_SEARCH_PREVIEWS", "links": []}]
    connect(workflow, node, 0, search, "previews")
    return workflow


def with_report(workflow: Workflow) -> Workflow:
    """And a report of what the search finds."""
    workflow = copy.deepcopy(workflow)
    search = the_search(workflow)
    node = add(workflow, "ApplSearchReport", beside(search, -460), (400, 190), ["browser"])
    node["inputs"] = [{"name": "block_weights", "type": "BLOCK_WEIGHTS", "link": None}]
    connect(workflow, search, 2, node, "block_weights")
    return workflow


def with_another_search(workflow: Workflow, seed: int) -> Workflow:
    """And a second search of the same LoRAs, with another seed."""
    workflow = copy.deepcopy(workflow)
    first = the_search(workflow)
    widgets = [*first["widgets_values"][:3], seed, *first["widgets_values"][4:]]
    second = add(workflow, "ApplSearchRun", beside(first, 520), (440, 900), widgets)
    second["inputs"] = [{**slot, "link": None} for slot in first["inputs"]]
    second["outputs"] = [{**slot, "links": []} for slot in first["outputs"]]
    links = {link[0]: link for link in workflow["links"]}
    for slot in first["inputs"]:
        if slot["link"] is not None:
            _, source, output, *_ = links[slot["link"]]
            connect(workflow, next(node for node in workflow["nodes"] if node["id"] == source), output, second, slot["name"])
    return workflow


def of_a_saved_result(file: str) -> Workflow:
    """No search: a result that is loaded, written as a string, and made an LBW_MODEL."""
    workflow: Workflow = {"last_node_id": 0, "last_link_id": 0, "nodes": [], "links": [], "groups": [], "version": 0.4}
    checkpoint = add(workflow, "ApplSearchTinySDXL", (0, 0), (320, 146), [])
    checkpoint["outputs"] = [{"name": name, "type": name.upper(), "links": []} for name in ("model", "clip")]
    loaded = add(workflow, "ApplSearchLoadResult", (0, 240), (420, 300), [file])
    loaded["outputs"] = [{"name": "block_weights", "type": "BLOCK_WEIGHTS", "links": []}]
    string = add(workflow, "ApplSearchToString", (500, 400), (440, 300), [1, "inspire", 3])
    string["inputs"] = [{"name": "block_weights", "type": "BLOCK_WEIGHTS", "link": None}]
    lbw = add(workflow, "ApplSearchToLBW", (500, 0), (400, 260), ["[demo] style", "", "auto"])
    types = {"model": "MODEL", "clip": "CLIP", "block_weights": "BLOCK_WEIGHTS"}
    lbw["inputs"] = [{"name": name, "type": kind, "link": None} for name, kind in types.items()]
    for source, output, target, name in ((loaded, 0, string, "block_weights"), (loaded, 0, lbw, "block_weights"), (checkpoint, 0, lbw, "model"), (checkpoint, 1, lbw, "clip")):
        connect(workflow, source, output, target, name)
    return workflow


def of_nodes_in_no_example(folder: str) -> Workflow:
    """Those for training images of a folder in input/, and for noise and loss; they are not run."""
    workflow: Workflow = {"last_node_id": 0, "last_link_id": 0, "nodes": [], "links": [], "groups": [], "version": 0.4}
    options = add(workflow, "ApplSearchTrainingOptions", (0, 0), (340, 720), [1024, 1024])
    options["outputs"] = [{"name": "options", "type": "APPL_SEARCH_TRAINING_OPTIONS", "links": []}]
    latents = add(workflow, "ApplSearchTrainingLatents", (420, 300), (340, 90), [])
    latents["inputs"] = [{"name": name, "type": name.upper().removesuffix("S"), "link": None} for name in ("latents", "conditioning")]
    latents["outputs"] = [{"name": "training_images", "type": "TRAINING_IMAGES", "links": []}]
    files = add(workflow, "ApplSearchTrainingFolder", (420, 0), (340, 150), [folder, True, "stop", ""])
    types = {"previous": "TRAINING_IMAGES", "options": "APPL_SEARCH_TRAINING_OPTIONS"}
    files["inputs"] = [{"name": name, "type": kind, "link": None} for name, kind in types.items()]
    files["outputs"] = [{"name": "training_images", "type": "TRAINING_IMAGES", "links": []}]
    connect(workflow, options, 0, files, "options")
    connect(workflow, latents, 0, files, "previous")
    noise = add(workflow, "ApplSearchNoiseAndLoss", (840, 0), (340, 460), [700, 1000])
    noise["inputs"] = [{"name": "settings", "type": "APPL_SEARCH_SETTINGS", "link": None}]
    noise["outputs"] = [{"name": "settings", "type": "APPL_SEARCH_SETTINGS", "links": []}]
    return workflow


def of_nodes_to_choose_with(preset: str) -> Workflow:
    """Those that say which blocks are searched and where rates go to; they are not run. ``preset``: one that is there."""
    workflow: Workflow = {"last_node_id": 0, "last_link_id": 0, "nodes": [], "links": [], "groups": [], "version": 0.4}
    rules = add(workflow, "ApplSearchBlockRules", (0, 0), (340, 200), ["one rate per section", "BASE = start\nIN00-IN02 = 0\nOUT01 = search"])
    rules["outputs"] = [{"name": "block_rules", "type": "APPL_SEARCH_BLOCK_RULES", "links": []}]
    hooks = add(workflow, "ApplSearchToHooks", (420, 0), (300, 170), [1.0, 1.0])
    types = {"block_weights": "BLOCK_WEIGHTS", "model": "MODEL", "clip": "CLIP", "prev_hooks": "HOOKS"}
    hooks["inputs"] = [{"name": name, "type": kind, "link": None} for name, kind in types.items()]
    hooks["outputs"] = [{"name": "hooks", "type": "HOOKS", "links": []}]
    _add_presets(workflow, preset)
    stack = add(workflow, "ApplSearchToStack", (800, 0), (300, 100), [])
    stack["inputs"] = [{"name": name, "type": name.upper(), "link": None} for name in ("block_weights", "lora_stack")]
    stack["outputs"] = [{"name": "lora_stack", "type": "LORA_STACK", "links": []}]
    loader = add(workflow, "ApplSearchLoadStack", (800, 200), (320, 120), [])
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
    add(workflow, "ApplSearchSavePreset", (0, 300), (340, 300), ["zibby:0,0.528,0.53,0.51,0.25,0.49,0.62,1,0,0,0.8,1", "", "user folder", True])
    string = add(workflow, "ApplSearchLoadPreset", (420, 300), (320, 160), [preset])
    string["outputs"] = [{"name": "string", "type": "STRING", "links": []}]

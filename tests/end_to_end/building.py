"""Puts workflow files together, as the page loads them: nodes, links, and settings for a quick search."""

from __future__ import annotations

from typing import Any

Workflow = dict[str, Any]
TAKE_SETTINGS = ("ApplSearchRun", "ApplSearchNoiseAndLoss")
#: The inputs of a node of settings, in their order: without what takes most of the time of a short search.
QUICK = {
    "batch_size": 16, "negative_penalty": 10.0, "use_bounds": False, "minimum": 0.0, "maximum": 1.0, "min_snr_gamma": 0.0, "learning_rate": 0.1,
    "lr_schedule": "cosine", "weight_decay": 0.0, "tolerance": 0.0005, "validation": 0, "held_out": -1.0, "comparison": 0, "ablation": 0,
    "check_gradient": False,
}  # fmt: skip


def the_search(workflow: Workflow) -> dict[str, Any]:
    (search,) = (node for node in workflow["nodes"] if node["type"] == "ApplSearchRun")
    return search


def be_quick(workflow: Workflow, **changed: Any) -> None:
    """Gives each search QUICK settings, but for those that are ``changed``, and those of before that a node of settings has."""
    inputs = QUICK | changed
    for taker in [node for node in workflow["nodes"] if node["type"] in TAKE_SETTINGS]:
        (slot,) = (slot for slot in taker["inputs"] if slot["name"] == "settings")
        if slot["link"] is None:
            below = max(node["pos"][1] + node["size"][1] for node in workflow["nodes"]) + 1000  # nodes are taller on older pages
            node = add(workflow, "ApplSearchSettings", (taker["pos"][0], below), (400, 460), list(inputs.values()))
            node["outputs"] = [{"name": "settings", "type": "APPL_SEARCH_SETTINGS", "links": []}]
            connect(workflow, node, 0, taker, "settings")
    for node in workflow["nodes"]:
        if node["type"] == "ApplSearchSettings":
            values = dict(zip(inputs, node["widgets_values"]))
            node["widgets_values"] = list({**inputs, **values, "comparison": inputs["comparison"], "check_gradient": False}.values())


def beside(node: dict[str, Any], x: int) -> tuple[int, int]:
    return node["pos"][0] + x, node["pos"][1]


def add(workflow: Workflow, kind: str, pos: tuple[int, int], size: tuple[int, int], widgets: list[Any]) -> dict[str, Any]:
    number = max((node["id"] for node in workflow["nodes"]), default=0) + 1
    node = {
        "id": number, "type": kind, "pos": [*pos], "size": [*size], "flags": {}, "order": number, "mode": 0,
        "inputs": [], "outputs": [], "properties": {}, "widgets_values": widgets,
    }  # fmt: skip
    workflow["nodes"].append(node)
    workflow["last_node_id"] = number
    return node


def connect(workflow: Workflow, source: dict[str, Any], output: int, target: dict[str, Any], name: str) -> None:
    number = workflow["last_link_id"] + 1
    slot = next(i for i, one in enumerate(target["inputs"]) if one["name"] == name)
    kind = source["outputs"][output]["type"]
    workflow["links"].append([number, source["id"], output, target["id"], slot, kind])
    source["outputs"][output]["links"].append(number)
    target["inputs"][slot]["link"] = number
    workflow["last_link_id"] = number

"""The demo workflow cut down to a search of a minute, as the page loads it, and with more around it."""

from __future__ import annotations

import copy
import json
from typing import Any

from tests.end_to_end.comfy_server import PACK

TYPES = ("ApplSearchTinySDXL", "ApplSearchLoadLora", "ApplSearchRun", "ApplSearchToString")
SAMPLES = 32  # two steps
PREVIEW_WIDGETS = ["a zibby", "", 16, 128, 128, 4, 4.0, "euler", "normal", 0]
Workflow = dict[str, Any]


def short_demo(seed: int, samples: int = SAMPLES) -> Workflow:
    """Without its pictures."""
    workflow = json.loads((PACK / "example_workflows" / "demo.json").read_text(encoding="utf-8"))
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
    node = _add(workflow, "ApplSearchPreviews", search, -460, PREVIEW_WIDGETS)
    node["outputs"] = [{"name": "previews", "type": "APPL_SEARCH_PREVIEWS", "links": []}]
    _connect(workflow, node, 0, search, "previews")
    return workflow


def with_report(workflow: Workflow) -> Workflow:
    """And a report of what the search finds."""
    workflow = copy.deepcopy(workflow)
    search = the_search(workflow)
    node = _add(workflow, "ApplSearchReport", search, 900, ["browser"])
    node["inputs"] = [{"name": "block_weights", "type": "BLOCK_WEIGHTS", "link": None}]
    _connect(workflow, search, 2, node, "block_weights")
    return workflow


def with_another_search(workflow: Workflow, seed: int) -> Workflow:
    """And a second search of the same LoRAs, with another seed."""
    workflow = copy.deepcopy(workflow)
    first = the_search(workflow)
    second = _add(workflow, "ApplSearchRun", first, 520, [*first["widgets_values"][:3], seed, *first["widgets_values"][4:]])
    second["inputs"] = [{**slot, "link": None} for slot in first["inputs"]]
    second["outputs"] = [{**slot, "links": []} for slot in first["outputs"]]
    links = {link[0]: link for link in workflow["links"]}
    for slot in first["inputs"]:
        if slot["link"] is not None:
            _, source, output, *_ = links[slot["link"]]
            _connect(workflow, next(node for node in workflow["nodes"] if node["id"] == source), output, second, slot["name"])
    return workflow


def _add(workflow: Workflow, kind: str, beside: dict[str, Any], x: int, widgets: list[Any]) -> dict[str, Any]:
    number = max(node["id"] for node in workflow["nodes"]) + 1
    node = {
        "id": number, "type": kind, "pos": [beside["pos"][0] + x, beside["pos"][1]], "size": [400, 400], "flags": {},
        "order": number, "mode": 0, "inputs": [], "outputs": [], "properties": {}, "widgets_values": widgets,
    }  # fmt: skip
    workflow["nodes"].append(node)
    workflow["last_node_id"] = number
    return node


def _connect(workflow: Workflow, source: dict[str, Any], output: int, target: dict[str, Any], name: str) -> None:
    number = max(link[0] for link in workflow["links"]) + 1
    slot = next(i for i, one in enumerate(target["inputs"]) if one["name"] == name)
    kind = source["outputs"][output]["type"]
    workflow["links"].append([number, source["id"], output, target["id"], slot, kind])
    source["outputs"][output]["links"].append(number)
    target["inputs"][slot]["link"] = number
    workflow["last_link_id"] = number

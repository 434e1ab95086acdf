"""What is wrong with a workflow file, given the definitions of its nodes.

A file that was saved with older nodes is well as long as nothing that it uses is gone: nodes may have got more outputs,
more optional inputs, and more widgets with defaults after those they had.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tests.end_to_end.workflow import (
    PAGE_ONLY,
    Input,
    Json,
    Link,
    WorkflowError,
    inputs_of,
    label,
    links_of,
    widget_values,
)


def problems(workflow: Json, definitions: Mapping[str, Json]) -> list[str]:
    """Messages, none when all is well. Nodes without a definition are checked for their links only."""
    try:
        links = links_of(workflow)
    except WorkflowError as error:
        return [str(error)]
    found = list(_bookkeeping(workflow, links))
    nodes = {node["id"]: node for node in workflow["nodes"]}
    for link in links.values():
        found += _of_link(link, nodes)
    for node in workflow["nodes"]:
        found += _of_slots(node, links)
        definition = definitions.get(node["type"])
        if definition is not None and node["type"] not in PAGE_ONLY:
            found += _of_sockets(node, definition)
            found += _of_outputs(node, definition)
            found += _of_widgets(node, definition)
    return found


def _bookkeeping(workflow: Json, links: Mapping[int, Link]) -> Iterator[str]:
    """The page numbers new nodes and links from these two on: too small ones would give an id twice."""
    ids = [node["id"] for node in workflow["nodes"]]
    if len(set(ids)) != len(ids):
        yield "Two nodes have the same id."
    if len(links) != len(workflow["links"]):
        yield "Two links have the same id."
    for name, used in (("last_node_id", ids), ("last_link_id", links)):
        if workflow.get(name, -1) < max(used, default=0):
            yield f"{name} is {workflow.get(name)}, expected at least {max(used)}."


def _of_link(link: Link, nodes: Mapping[int, Json]) -> Iterator[str]:
    """Both ends exist and know of the link, and its type is theirs."""
    ends = (("outputs", link.source, link.source_slot), ("inputs", link.target, link.target_slot))
    for side, node_id, index in ends:
        slots = nodes.get(node_id, {}).get(side) or []
        if index >= len(slots):
            yield f"Link {link.id} goes to {side}[{index}] of node {node_id}, which does not exist."
            continue
        slot, where = slots[index], f"{label(nodes[node_id])}.{slots[index]['name']}"
        known = slot.get("links") or [] if side == "outputs" else [slot.get("link")]
        if link.id not in known:
            yield f"Link {link.id} goes to {where}, which does not know of it."
        if not compatible(link.type, slot["type"]):
            yield f"Link {link.id} is {link.type}, but {where} is {slot['type']}."


def _of_slots(node: Json, links: Mapping[int, Link]) -> Iterator[str]:
    """Every link that a node names exists."""
    named = [slot.get("link") for slot in node.get("inputs") or []]
    named += [link for slot in node.get("outputs") or [] for link in slot.get("links") or []]
    for link in named:
        if link is not None and link not in links:
            yield f"{label(node)} names link {link}, which does not exist."


def _of_sockets(node: Json, definition: Json) -> Iterator[str]:
    inputs = {entry.name: entry for entry in inputs_of(definition)}
    linked = set()
    for slot in node.get("inputs") or []:
        entry = inputs.get(slot["name"])
        if slot.get("link") is None:
            continue
        if entry is None:
            yield f"{label(node)} has an input {slot['name']!r}, expected only {', '.join(inputs) or 'none'}."
            continue
        if not compatible(slot["type"], entry.type):
            yield f"{label(node)}.{entry.name} is {slot['type']}, expected {entry.type}."
        linked.add(entry.name)
    for entry in inputs.values():
        if entry.required and not entry.is_widget and entry.name not in linked:
            yield f"{label(node)}.{entry.name} is required and has no link."


def _of_outputs(node: Json, definition: Json) -> Iterator[str]:
    """Links name an output by its index, so those that are used must be where they were."""
    kinds = ["COMBO" if isinstance(kind, (list, tuple)) else kind for kind in definition["output"]]
    expected = list(zip(definition["output_name"], kinds))
    for index, slot in enumerate(node.get("outputs") or []):
        found = (slot["name"], slot["type"])
        if slot.get("links") and (index >= len(expected) or found != expected[index]):
            yield f"{label(node)} has the output {found} at {index}, expected {expected}."


def _of_widgets(node: Json, definition: Json) -> Iterator[str]:
    try:
        values = widget_values(node, definition)
    except WorkflowError as error:
        yield str(error)
        return
    linked = {slot["name"] for slot in node.get("inputs") or [] if slot.get("link") is not None}
    for entry in inputs_of(definition):
        if entry.is_widget and entry.name not in linked:
            wrong = wrong_value(entry, values.get(entry.name))
            if wrong:
                yield f"{label(node)}.{entry.name} is {values.get(entry.name)!r}, expected {wrong}."


def wrong_value(entry: Input, value: Any) -> str | None:
    """What a widget expected instead of a value; None when the value is fine."""
    if entry.type == "COMBO":
        if str(value).endswith(".safetensors"):
            return None  # which files there are is the user's matter
        return None if value in entry.choices else f"one of {', '.join(map(str, entry.choices)) or 'no choices'}"
    if entry.type in ("STRING", "BOOLEAN"):
        kind = str if entry.type == "STRING" else bool
        return None if isinstance(value, kind) else f"a {kind.__name__}"
    numbers = (int,) if entry.type == "INT" else (int, float)
    low, high = entry.options.get("min", float("-inf")), entry.options.get("max", float("inf"))
    if isinstance(value, numbers) and not isinstance(value, bool) and low <= value <= high:
        return None
    return f"{'an integer' if entry.type == 'INT' else 'a number'} from {low} to {high}"


def compatible(one: str, other: str) -> bool:
    """Whether two slot types may be linked: "*" takes all, "A,B" takes either."""
    kinds = set(str(one).split(",")), set(str(other).split(","))
    return "*" in kinds[0] | kinds[1] or bool(kinds[0] & kinds[1])

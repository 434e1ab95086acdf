"""Workflow files (the page's form of a graph): read by node definitions, and turned into the server's API form.

A definition is what `GET /object_info` says of a node class. `widgets_values` in a workflow file is a bare list, so
its meaning hangs on the order of the inputs in the definition: that order is kept here and nowhere else.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

WIDGET_TYPES = ("INT", "FLOAT", "STRING", "BOOLEAN", "COMBO")
COMMENTS = ("Note", "MarkdownNote")
REROUTE = "Reroute"
PRIMITIVE = "PrimitiveNode"
PAGE_ONLY = (*COMMENTS, REROUTE, PRIMITIVE)  # nodes that the server never hears of
MUTED, BYPASSED = 2, 4
UPLOADS = ("image_upload", "animated_image_upload", "video_upload", "audio_upload")

Json = dict[str, Any]


class WorkflowError(ValueError):
    """A workflow file does not fit the node definitions."""


@dataclass(frozen=True)
class Input:
    """One input of a node class. ``options`` is the dict beside the type; ``choices`` those of a combo."""

    name: str
    type: str
    required: bool
    options: Mapping[str, Any] = field(default_factory=dict)
    choices: tuple[Any, ...] = ()

    @property
    def is_widget(self) -> bool:
        return self.type in WIDGET_TYPES and not self.options.get("forceInput")

    @property
    def has_default(self) -> bool:
        """Whether a widget has a value of its own, for a file that was saved before there was this widget."""
        return "default" in self.options or bool(self.choices)

    @property
    def default(self) -> Any:
        return self.options["default"] if "default" in self.options else self.choices[0]

    @property
    def followers(self) -> tuple[str, ...]:
        """Widgets that the page adds right after this one, which the server does not know."""
        seed = self.type == "INT" and self.name in ("seed", "noise_seed")
        extra = ["control_after_generate"] if self.options.get("control_after_generate", seed) else []
        return (*extra, *(["upload"] if any(self.options.get(name) for name in UPLOADS) else []))


@dataclass(frozen=True)
class Link:
    """One connection: output ``source_slot`` of node ``source`` to input ``target_slot`` of node ``target``."""

    id: int
    source: int
    source_slot: int
    target: int
    target_slot: int
    type: str


def inputs_of(definition: Json) -> list[Input]:
    """The inputs in the page's order: required ones, then optional ones."""
    found = []
    for group in ("required", "optional"):
        specs = definition["input"].get(group) or {}
        for name in (definition.get("input_order") or {}).get(group, specs):
            kind, options = (*specs[name], {})[:2]
            choices = kind if isinstance(kind, (list, tuple)) else options.get("options", ())
            type_ = "COMBO" if isinstance(kind, (list, tuple)) else str(kind)
            found.append(Input(name, type_, group == "required", options, tuple(choices)))
    return found


def links_of(workflow: Json) -> dict[int, Link]:
    """The links of a workflow by their id."""
    if (workflow.get("definitions") or {}).get("subgraphs"):
        raise WorkflowError("Subgraphs are not read here: unpack them in the workflow file.")
    return {values[0]: Link(*values[:6]) for values in workflow["links"]}


def widget_values(node: Json, definition: Json) -> dict[str, Any]:
    """The values of a node's widgets by name; defaults of widgets that came after those of the file.

    Raises WorkflowError when there are too many, or too few and no default.
    """
    values = node.get("widgets_values") or []
    if isinstance(values, Mapping):
        return dict(values)
    widgets = [entry for entry in inputs_of(definition) if entry.is_widget]
    names = [name for entry in widgets for name in (entry.name, *(f"{entry.name} {more}" for more in entry.followers))]
    new = [entry for entry in widgets if entry.name in names[len(values) :]]
    if len(values) > len(names) or not all(entry.has_default for entry in new):
        raise WorkflowError(
            f"{label(node)} has {len(values)} widget values {values}, expected {len(names)} ({', '.join(names)}). "
            "Save the workflow again with the present nodes."
        )
    named = {**{entry.name: entry.default for entry in new}, **dict(zip(names, values))}
    return {entry.name: named[entry.name] for entry in widgets}


def label(node: Json) -> str:
    """How messages call a node."""
    return f"{node['type']} (node {node['id']})"


def to_api(workflow: Json, definitions: Mapping[str, Json]) -> Json:
    """The graph as `POST /prompt` wants it: {node id: {class_type, inputs}}. Muted nodes are left out."""
    links = links_of(workflow)
    nodes = {node["id"]: node for node in workflow["nodes"]}
    prompt = {}
    for node in _executed(workflow):
        definition = definitions.get(node["type"])
        if definition is None:
            raise WorkflowError(f"{label(node)}: the server has no such node class. Is its pack installed?")
        values = widget_values(node, definition)
        inputs = {
            entry.name: _wrap(values[entry.name])
            for entry in inputs_of(definition) if entry.is_widget and entry.name in values
        }  # fmt: skip
        for slot in node.get("inputs") or []:
            if slot.get("link") is not None:
                source = _source(links[slot["link"]], links, nodes)
                inputs.pop(slot["name"], None)
                if source is not None:
                    inputs[slot["name"]] = source
        title = node.get("title") or node["type"]
        prompt[str(node["id"])] = {"class_type": node["type"], "inputs": inputs, "_meta": {"title": title}}
    return prompt


def nodes_of_type(prompt: Json, class_type: str) -> list[str]:
    """The ids of an API graph's nodes of one class."""
    return [node_id for node_id, node in prompt.items() if node["class_type"] == class_type]


def _executed(workflow: Json) -> Iterator[Json]:
    for node in workflow["nodes"]:
        if node.get("mode", 0) == BYPASSED:
            raise WorkflowError(f"{label(node)} is bypassed, which is not read here: mute it or take it out.")
        if node["type"] not in PAGE_ONLY and node.get("mode", 0) != MUTED:
            yield node


def _source(link: Link, links: Mapping[int, Link], nodes: Mapping[int, Json]) -> Any:
    """Where a link begins behind reroutes: [node id, slot], a primitive's value, or None when it hangs loose."""
    node = nodes[link.source]
    if node["type"] == REROUTE:
        before = node["inputs"][0].get("link")
        return None if before is None else _source(links[before], links, nodes)
    if node["type"] == PRIMITIVE:
        return _wrap(node["widgets_values"][0])
    return None if node.get("mode", 0) == MUTED else [str(link.source), link.source_slot]


def _wrap(value: Any) -> Any:
    """A list as a value: marked, because the server takes a bare one for a link."""
    return {"__value__": value} if isinstance(value, list) else value

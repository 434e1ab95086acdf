"""What ComfyUI tells its page about the pack's nodes."""

from __future__ import annotations

import pytest

from tests.end_to_end.comfy_server import ComfyServer
from tests.pack import PREFIX

# Never change or drop one: saved workflows name them.
NODES = (
    "ApplSearchApply",
    "ApplSearchBake",
    "ApplSearchBlockExplorer",
    "ApplSearchLoadLora",
    "ApplSearchLoadResult",
    "ApplSearchLook",
    "ApplSearchPlot",
    "ApplSearchPreviews",
    "ApplSearchReport",
    "ApplSearchRun",
    "ApplSearchSaveResult",
    "ApplSearchSettings",
    "ApplSearchTinySDXL",
    "ApplSearchToLBW",
    "ApplSearchToString",
    "ApplSearchTrainingFolder",
    "ApplSearchTrainingImages",
    "ApplSearchTrainingLatents",
    "ApplSearchTrainingOptions",
)


@pytest.fixture(scope="module")
def own_nodes(comfy: ComfyServer) -> dict[str, dict]:
    return {name: node for name, node in comfy.get_json("/object_info").items() if name.startswith(PREFIX)}


def test_all_nodes_are_there(own_nodes):
    assert set(NODES) <= set(own_nodes)


def test_every_node_has_a_description_and_a_name_for_people(own_nodes):
    assert [name for name, node in own_nodes.items() if not node["description"]] == []
    assert [name for name, node in own_nodes.items() if node["display_name"] == name] == []


def test_every_input_has_a_tooltip(own_nodes):
    assert [
        f"{name}.{entry}"
        for name, node in own_nodes.items()
        for group in ("required", "optional")
        for entry, spec in node["input"].get(group, {}).items()
        if len(spec) < 2 or not spec[1].get("tooltip")
    ] == []


def test_every_output_has_a_tooltip(own_nodes):
    assert [
        name for name, node in own_nodes.items()
        if len(node["output"]) != len([tip for tip in node.get("output_tooltips") or [] if tip])
    ] == []  # fmt: skip

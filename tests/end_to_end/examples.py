"""The pack's example workflows."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.end_to_end.building import be_quick
from tests.end_to_end.comfy_server import PACK, ComfyServer
from tests.end_to_end.workflow import PAGE_ONLY
from tests.pack import PREFIX

FOLDER = PACK / "example_workflows"
#: Node types, the index of a widget's value, and the most that it may be in a short run.
LESS = (
    ("ApplSearchRun", 1, 4), ("ApplSearchEvaluate", 0, 8), ("ApplSearchPreviews", 5, 4), ("KSampler", 2, 4), ("EmptyLatentImage", 2, 1),
    ("ApplSearchBlockExplorer", 9, 3),
)  # fmt: skip
#: And the fewer blocks that are explored.
EXPLORED = ("ApplSearchBlockExplorer", 3, "OUT00-OUT01")
NAMES = sorted(path.stem for path in FOLDER.glob("*.json"))


def example(name: str) -> dict[str, Any]:
    """A workflow as the page loads it."""
    return json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))


def short_example(name: str) -> dict[str, Any]:
    """With less of a search and of sampling: enough to run. What is found is the unit tests' matter."""
    workflow = example(name)
    be_quick(workflow)
    for node in workflow["nodes"]:
        for kind, index, most in LESS:
            if node["type"] == kind:
                node["widgets_values"][index] = min(node["widgets_values"][index], most)
        kind, index, blocks = EXPLORED
        if node["type"] == kind:
            node["widgets_values"][index] = blocks
    return workflow


def definitions_for(workflow: dict[str, Any], comfy: ComfyServer) -> dict[str, Any]:
    """The server's; skips where the workflow needs a newer ComfyUI, or another pack's nodes that it does not have."""
    needed, there = workflow["extra"].get("needs_comfyui", "0"), comfy.version
    if _numbers(there) < _numbers(needed):
        pytest.skip(f"This is ComfyUI {there}; the workflow needs {needed}.")
    definitions = comfy.get_json("/object_info")
    unknown = {node["type"] for node in workflow["nodes"]} - set(definitions) - set(PAGE_ONLY)
    assert not [name for name in unknown if name.startswith(PREFIX)]
    if unknown:
        pytest.skip(f"This ComfyUI has no {', '.join(sorted(unknown))}: another pack's nodes.")
    return definitions


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit())

"""The example workflows fit all nodes of this ComfyUI, its own ones included."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.end_to_end.comfy_server import PACK, ComfyServer
from tests.end_to_end.workflow import PAGE_ONLY, to_api
from tests.pack import PREFIX
from tests.workflow_check import problems


@pytest.mark.parametrize("path", sorted((PACK / "example_workflows").glob("*.json")), ids=lambda path: path.stem)
def test_example_workflow_fits_this_comfyui(path: Path, comfy: ComfyServer):
    workflow = json.loads(path.read_text(encoding="utf-8"))
    definitions = comfy.get_json("/object_info")
    unknown = {node["type"] for node in workflow["nodes"]} - set(definitions) - set(PAGE_ONLY)
    assert not [name for name in unknown if name.startswith(PREFIX)]
    if unknown:
        pytest.skip(f"This ComfyUI has no {', '.join(sorted(unknown))}: another pack's nodes.")
    found = problems(workflow, definitions)
    assert found == []
    assert to_api(workflow, definitions)

"""The example workflows fit the nodes as they are now."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests import pack
from tests.end_to_end.building import QUICK
from tests.workflow_check import problems

WORKFLOWS = sorted((pack.ROOT / "example_workflows").glob("*.json"))


def test_there_are_example_workflows():
    assert [path.name for path in WORKFLOWS], "expected example_workflows/*.json"


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_example_workflow_fits_the_nodes(path: Path):
    workflow = json.loads(path.read_text(encoding="utf-8"))
    definitions = pack.definitions()
    gone = {node["type"] for node in workflow["nodes"] if node["type"].startswith(pack.PREFIX)} - set(definitions)
    assert not gone, f"the pack has no such nodes: {', '.join(sorted(gone))}"
    found = problems(workflow, definitions)
    assert found == []


def test_the_quick_settings_of_end_to_end_tests_are_the_widgets_in_their_order():
    """Workflow files have nothing but their order."""
    inputs = pack.definitions()["ApplSearchSettings"]["input"]
    assert list(QUICK) == [*inputs["required"], *inputs["optional"]]

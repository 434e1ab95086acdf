"""Workflow files are turned into the server's form, and faults in them are found."""

from __future__ import annotations

import copy

import pytest

from tests.end_to_end.workflow import WorkflowError, to_api
from tests.workflow_check import problems

DEFINITIONS = {
    "Load": {
        "input": {"required": {"image": (["a.png", "b.png"], {"image_upload": True})}},
        "output": ["IMAGE"], "output_name": ["image"],
    },
    "Use": {
        "input": {
            "required": {
                "image": ("IMAGE",),
                "seed": ("INT", {"default": 0, "min": 0, "max": 100}),
                "method": ("COMBO", {"options": ["fast", "slow"]}),
            },
            "optional": {
                "strength": ("FLOAT", {"default": 1.0, "min": -1.0, "max": 1.0}),
                "caption": ("STRING", {"forceInput": True}),
                "noise": ("INT", {"control_after_generate": False}),
            },
        },
        "output": [], "output_name": [],
    },
}  # fmt: skip


def example() -> dict:
    """Load -> Reroute -> Use, a primitive on Use's strength, and a note."""
    return {
        "last_node_id": 5,
        "last_link_id": 3,
        "nodes": [
            {"id": 1, "type": "Load", "widgets_values": ["a.png", "image"],
             "outputs": [{"name": "image", "type": "IMAGE", "links": [1]}]},
            {"id": 2, "type": "Reroute", "inputs": [{"name": "", "type": "*", "link": 1}],
             "outputs": [{"name": "", "type": "IMAGE", "links": [2]}]},
            {"id": 3, "type": "Use", "title": "User", "widgets_values": [7, "randomize", "slow", 0.5, 9],
             "inputs": [{"name": "image", "type": "IMAGE", "link": 2},
                        {"name": "strength", "type": "FLOAT", "link": 3, "widget": {"name": "strength"}}]},
            {"id": 4, "type": "PrimitiveNode", "widgets_values": [-0.25, "fixed"],
             "outputs": [{"name": "FLOAT", "type": "FLOAT", "links": [3]}]},
            {"id": 5, "type": "Note", "widgets_values": ["Read me"]},
        ],
        "links": [[1, 1, 0, 2, 0, "IMAGE"], [2, 2, 0, 3, 0, "IMAGE"], [3, 4, 0, 3, 1, "FLOAT"]],
    }  # fmt: skip


def test_the_server_s_form_has_values_by_name_and_links_behind_reroutes():
    assert to_api(example(), DEFINITIONS) == {
        "1": {"class_type": "Load", "inputs": {"image": "a.png"}, "_meta": {"title": "Load"}},
        "3": {
            "class_type": "Use",
            "inputs": {"image": ["1", 0], "seed": 7, "method": "slow", "strength": -0.25, "noise": 9},
            "_meta": {"title": "User"},
        },
    }


def test_a_muted_node_and_its_links_are_left_out():
    workflow = example()
    workflow["nodes"][0]["mode"] = 2
    prompt = to_api(workflow, DEFINITIONS)
    assert list(prompt) == ["3"]
    assert "image" not in prompt["3"]["inputs"]


def test_an_unknown_node_is_named():
    with pytest.raises(WorkflowError, match=r"Use \(node 3\): the server has no such node class"):
        to_api(example(), {"Load": DEFINITIONS["Load"]})


def test_a_sound_workflow_has_no_problems():
    assert problems(example(), DEFINITIONS) == []


def set_in(path: tuple, value):
    def change(workflow: dict) -> None:
        for step in path[:-1]:
            workflow = workflow[step]
        workflow[path[-1]] = value

    return change


@pytest.mark.parametrize(
    "change, message",
    [
        (set_in(("nodes", 2, "widgets_values"), [7, "fixed", "slow", 0.5]), "has 4 widget values"),
        (set_in(("nodes", 2, "inputs", 1, "name"), "power"), "has an input 'power'"),
        (set_in(("nodes", 0, "outputs"), [{"name": "mask", "type": "MASK", "links": [1]}]), "has the output ('mask', 'MASK') at 0"),
        (set_in(("nodes", 3, "outputs", 0, "links"), None), "which does not know of it"),
        (set_in(("nodes", 2, "widgets_values"), [7, "fixed", "slow", 0.5, 9, 1]), "has 6 widget values"),
        (set_in(("nodes", 2, "widgets_values", 0), 101), "seed is 101, expected an integer from 0 to 100"),
        (set_in(("nodes", 2, "widgets_values", 2), "new"), "method is 'new', expected one of fast, slow"),
        (set_in(("nodes", 0, "widgets_values", 0), "c.png"), "image is 'c.png'"),
        (set_in(("nodes", 2, "inputs", 0, "name"), "picture"), "has an input 'picture'"),
        (set_in(("nodes", 2, "inputs", 0, "link"), None), "image is required and has no link"),
        (set_in(("nodes", 2, "inputs", 0, "link"), 8), "names link 8, which does not exist"),
        (set_in(("nodes", 0, "outputs", 0, "type"), "LATENT"), "expected [('image', 'IMAGE')]"),
        (set_in(("nodes", 0, "outputs", 0, "links"), []), "which does not know of it"),
        (set_in(("links", 1, 5), "MASK"), "Link 2 is MASK, but Use (node 3).image is IMAGE"),
        (set_in(("links", 1, 4), 2), "inputs[2] of node 3, which does not exist"),
        (set_in(("nodes", 4, "id"), 4), "Two nodes have the same id"),
        (set_in(("last_link_id",), 2), "last_link_id is 2, expected at least 3"),
        (set_in(("definitions",), {"subgraphs": [{}]}), "Subgraphs are not read here"),
    ],
)
def test_a_fault_is_named(change, message):
    workflow = copy.deepcopy(example())
    change(workflow)
    assert any(message in found for found in problems(workflow, DEFINITIONS)), problems(workflow, DEFINITIONS)


def newer() -> dict:
    """The definitions of a later host: more outputs, more optional inputs, and more widgets at the end."""
    definitions = copy.deepcopy(DEFINITIONS)
    definitions["Load"].update(output=["IMAGE", "MASK"], output_name=["image", "mask"])
    definitions["Use"].update(output=["IMAGE"], output_name=["images"])
    definitions["Use"]["input"]["optional"] |= {
        "mask": ("MASK",),
        "quality": ("INT", {"default": 90, "min": 1, "max": 100}),
        "kind": (["png", "jpg"],),
    }
    return definitions


def test_a_workflow_of_an_older_host_is_fine_when_nothing_that_it_uses_is_gone():
    assert problems(example(), newer()) == []
    assert to_api(example(), newer())["3"]["inputs"] == {**to_api(example(), DEFINITIONS)["3"]["inputs"], "quality": 90, "kind": "png"}


def test_what_it_does_not_use_may_be_gone():
    workflow = example()
    workflow["nodes"][0]["outputs"].append({"name": "mask", "type": "MASK", "links": None})
    workflow["nodes"][2]["inputs"].append({"name": "mask", "type": "MASK", "link": None})
    assert problems(workflow, DEFINITIONS) == []


@pytest.mark.parametrize(
    "change, message",
    [
        (set_in(("Use", "input", "optional", "name"), ("STRING", {})), "has 5 widget values"),
        (set_in(("Use", "input", "required", "name"), ("STRING", {"default": ""})), "has 5 widget values"),
        (set_in(("Use", "input", "required", "mask"), ("MASK",)), "mask is required and has no link"),
        (set_in(("Load", "output"), ["MASK", "IMAGE"]), "has the output ('image', 'IMAGE') at 0"),
        (set_in(("Load", "output_name"), ["mask"]), "has the output ('image', 'IMAGE') at 0"),
    ],
)
def test_what_a_newer_host_does_to_a_workflow_is_named(change, message):
    definitions = copy.deepcopy(DEFINITIONS)
    change(definitions)
    assert any(message in found for found in problems(example(), definitions)), problems(example(), definitions)

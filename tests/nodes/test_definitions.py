"""What the nodes say of themselves fits what they take, and is complete."""

from __future__ import annotations

import inspect

import pytest

from tests import pack

NODES = pack.load_pack().NODE_CLASS_MAPPINGS
EXPECTED = {
    "ApplSearchLoadLora": "Load LoRA (Learnable Blocks)",
    "ApplSearchTrainingImages": "Training Images",
    "ApplSearchSettings": "Search Settings (Advanced)",
    "ApplSearchRun": "Search LoRA Block Weights",
    "ApplSearchToString": "Block Weights to String",
    "ApplSearchTinySDXL": "Tiny SDXL (Demo)",
}
WIDGETS = ("INT", "FLOAT", "STRING", "BOOLEAN")

each_node = pytest.mark.parametrize("node", NODES.values(), ids=NODES)


def inputs(node, *groups: str) -> dict:
    found = node.INPUT_TYPES()
    return {name: spec for group in groups for name, spec in found.get(group, {}).items()}


def test_ids_and_names_that_saved_workflows_rely_on():
    names = pack.load_pack().NODE_DISPLAY_NAME_MAPPINGS
    assert set(names) == set(NODES)
    assert EXPECTED.items() <= names.items()
    assert all(name.startswith(pack.PREFIX) for name in NODES)


@each_node
def test_inputs_are_the_functions_arguments(node):
    parameters = inspect.signature(getattr(node, node.FUNCTION)).parameters
    taken = [name for name in parameters if name != "self"]
    assert taken == list(inputs(node, "required")) + list(inputs(node, "optional")) + list(inputs(node, "hidden"))
    with_default = {name for name in taken if parameters[name].default is not inspect.Parameter.empty}
    assert with_default == set(inputs(node, "optional", "hidden"))


@each_node
def test_every_input_has_a_tooltip(node):
    for name, (_, options) in inputs(node, "required", "optional").items():
        assert options.get("tooltip"), name


@each_node
def test_every_output_has_a_name_and_a_tooltip(node):
    assert len(node.RETURN_TYPES) == len(node.RETURN_NAMES) == len(node.OUTPUT_TOOLTIPS)
    assert all(node.RETURN_NAMES) and all(node.OUTPUT_TOOLTIPS)


@each_node
def test_every_widget_has_a_default_that_it_allows(node):
    for name, (kind, options) in inputs(node, "required", "optional").items():
        if isinstance(kind, list):
            assert options.get("default", kind[0] if kind else None) in [*kind, None], name
        elif kind in WIDGETS:
            assert "default" in options, name
        if kind in ("INT", "FLOAT"):
            assert options["min"] <= options["default"] <= options["max"], name


@each_node
def test_every_node_is_described_and_can_be_found(node):
    assert node.DESCRIPTION and node.CATEGORY and node.SEARCH_ALIASES


def test_the_search_and_its_settings_have_the_defaults_of_the_api():
    from appl_search import SearchSettings

    settings = {name: spec[1]["default"] for name, spec in inputs(NODES["ApplSearchSettings"], "required").items()}
    (made,) = NODES["ApplSearchSettings"]().make(**settings)
    assert made == SearchSettings()
    for name, (_, options) in inputs(NODES["ApplSearchRun"], "required").items():
        if "default" in options:
            assert options["default"] == getattr(SearchSettings(), name)

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
    takes_settings = any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters.values())
    taken = {name: parameter for name, parameter in parameters.items() if name != "self" and parameter.kind is not inspect.Parameter.VAR_KEYWORD}
    declared = {name: group for group in ("required", "optional", "hidden") for name in inputs(node, group)}
    assert [name for name in declared if name in taken] == list(taken)
    assert takes_settings or set(declared) == set(taken)
    for name, parameter in taken.items():
        assert (parameter.default is not inspect.Parameter.empty) == (declared[name] != "required"), name


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

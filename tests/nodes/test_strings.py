"""The string node shows what it gives, for the LoRA that was asked for."""

from __future__ import annotations

import pytest

from appl_search.weights.formats import FORMATS
from tests.nodes.results import result_for


@pytest.fixture
def result(folders):
    loras = folders / "loras"
    return result_for((loras / "a.safetensors", {"IN07": 0.25}), (loras / "sub" / "b.safetensors", {"IN07": 0.75}))


@pytest.mark.parametrize("number", [1, 2])
@pytest.mark.parametrize("format", FORMATS)
def test_gives_and_shows_the_string_of_the_chosen_lora(node, result, number, format):
    out = node("ApplSearchToString").write(result, number, format, 3)
    string, every = out["result"]
    weights = result.block_weights[number - 1]
    assert string == weights.to_string(format, 3)
    assert out["ui"]["text"] == [string]
    assert out["ui"]["warnings"] == FORMATS[format].warnings(weights)
    assert string in every


def test_shows_a_table_of_the_blocks_that_the_lora_has(node, result):
    table = node("ApplSearchToString").write(result, 1, "plain", 3)["ui"]["table"]
    weights = result.block_weights[0]
    assert [(block, rate) for block, rate, _ in table] == list(weights.items())
    assert ["IN07", 0.25, 0.01] in table
    assert {error for block, _, error in table if block == "BASE"} <= {None}


def test_all_formats_come_with_their_names_and_warnings(node, result):
    _, every = node("ApplSearchToString").write(result, 1, "plain", 3)["result"]
    for name, format in FORMATS.items():
        assert f"{name} ({format.label})" in every
        for warning in format.warnings(result.block_weights[0]):
            assert f"Note: {warning}" in every


def test_a_number_that_no_lora_has_is_refused(node, result):
    with pytest.raises(ValueError, match="lora is 3, expected 1 to 2: these block weights are of a, b."):
        node("ApplSearchToString").write(result, 3, "plain", 3)

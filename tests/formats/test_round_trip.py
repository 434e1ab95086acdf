"""What is written can be read back, in every format and without naming it."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appl_search.architectures.sdxl import SDXL
from appl_search.weights.block_weights import BlockWeights
from appl_search.weights.formats import FORMATS, parse, write
from appl_search.weights.registry import read

from .layouts import ATTENTION_GROUPS, UNET_GROUPS, block_weights, layout_of, lora_file, weights_of

HALF_OF_THE_LAST_DECIMAL = 0.0005 + 1e-12


@pytest.mark.parametrize("name", FORMATS)
@settings(max_examples=12, deadline=None)
@given(weights=block_weights())
def test_every_format_keeps_the_rates_to_half_a_thousandth(name, weights):
    back = FORMATS[name].parse(write(weights, name), weights.layout)
    assert back.layout == weights.layout
    assert back.values == pytest.approx(weights.values, rel=0, abs=HALF_OF_THE_LAST_DECIMAL)


@pytest.mark.parametrize("name", FORMATS)
@settings(max_examples=6, deadline=None)
@given(weights=block_weights(), digits=st.integers(1, 8))
def test_every_format_writes_as_many_decimals_as_asked_for(name, weights, digits):
    back = FORMATS[name].parse(write(weights, name, digits), weights.layout)
    assert back.values == pytest.approx(weights.values, rel=0, abs=0.5 * 10**-digits + 1e-12)


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("digits", [0, 9, -1, 2.5, "3"])
def test_another_number_of_digits_is_refused(name, digits):
    with pytest.raises(ValueError, match="expected a whole number of decimals from 1 to 8"):
        write(weights_of(layout_of(*ATTENTION_GROUPS), IN04=0.5), name, digits)


@settings(max_examples=12, deadline=None)
@given(weights=block_weights())
def test_a_written_text_is_recognised_or_the_format_is_asked_for(weights):
    for name in FORMATS:
        text = write(weights, name)
        try:
            found = read(text, weights.layout)
        except ValueError as error:
            assert not FORMATS[name].has_mark and str(error).endswith("Choose the format.")
        else:
            assert found == FORMATS[name].parse(text, weights.layout)


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("groups", [ATTENTION_GROUPS, UNET_GROUPS[1:], ["output_blocks.0", "output_blocks.1"]])
def test_a_text_is_read_for_a_lora_file(name, groups, tmp_path):
    layout = layout_of(*groups, text_encoders=2)
    rates = {"BASE": 1.0, "IN04": 0.25, "MID": -0.5, "OUT00": 0.75, "OUT01": 2.0}
    weights = weights_of(layout, **rates)
    back = parse(write(weights, name), lora_file(tmp_path, layout))
    assert back.values == weights.values
    assert back.layout.groups == layout.groups
    assert BlockWeights.parse(write(weights, name), lora_file(tmp_path, layout), name) == back


def test_json_and_tables_keep_standard_errors():
    layout = layout_of("input_blocks.4", "output_blocks.0")
    errors = tuple({"IN04": 0.0123456, "OUT00": 3e-05}.get(block, math.nan) for block in SDXL.blocks)
    weights = BlockWeights(layout, (0.5,) * 20, errors)
    for name in ("json", "csv"):
        back = FORMATS[name].parse(write(weights, name), layout)
        assert back.stderr == pytest.approx(errors, rel=0.005, nan_ok=True)


def test_rates_of_blocks_that_the_lora_lacks_are_dropped():
    layout = layout_of("output_blocks.0", "output_blocks.1")
    assert dict(FORMATS["plain"].parse(",".join(["0.5"] * 20), layout).items()) == {"OUT00": 0.5, "OUT01": 0.5}
    assert sum(FORMATS["forge-neo"].parse(",".join(["0.5"] * 26), layout).values) == 1.0

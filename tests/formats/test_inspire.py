"""Inspire's vectors: what is written gives each key its rate, and what people write is read as Inspire reads it."""

import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from appl_search.architectures.sdxl import SDXL
from appl_search.weights.block_weights import BlockWeights
from appl_search.weights.formats import FORMATS, parse, write

from .inspire_reader import inspire_ratios
from .layouts import ATTENTION_GROUPS, UNET_GROUPS, block_weights, layout_of, layouts, lora_file, model_keys, weights_of

INSPIRE, IMPACT = FORMATS["inspire"], FORMATS["impact"]
COUNTING = tuple(i / 100 for i in range(20))
ATTENTION = layout_of(*ATTENTION_GROUPS, text_encoders=2)
LOCON = layout_of(*(group for group in UNET_GROUPS if group != "input_blocks.0"), text_encoders=2)
TWELVE = "BASE, IN04, IN05, IN07, IN08, MID (middle_block.1), OUT00, OUT01, OUT02, OUT03, OUT04, OUT05"


def test_attention_only_loras_need_12_values_and_locons_21():
    attention = write(BlockWeights(ATTENTION, COUNTING), "inspire")
    assert attention == "0,0.05,0.06,0.08,0.09,0.1,0.11,0.12,0.13,0.14,0.15,0.16"
    locon = write(BlockWeights(LOCON, COUNTING), "inspire").split(",")
    assert len(locon) == 21
    assert locon[9:12] == ["0.1"] * 3, "each part of the middle block has its own position"


@settings(max_examples=70, deadline=None)
@given(weights=block_weights())
@example(weights=BlockWeights(layout_of("middle_block.1", "output_blocks.1"), COUNTING))
@example(weights=BlockWeights(layout_of("input_blocks.1", "middle_block.1"), COUNTING))
@example(weights=BlockWeights(layout_of("input_blocks.8", "output_blocks.8"), COUNTING))
@example(weights=BlockWeights(layout_of("input_blocks.1", "middle_block.1", "output_blocks.1"), COUNTING))
@example(weights=BlockWeights(layout_of("output_blocks.0", "output_blocks.1"), COUNTING))
@example(weights=BlockWeights(layout_of(text_encoders=3), COUNTING))
@example(weights=BlockWeights(LOCON, COUNTING))
@example(weights=BlockWeights(layout_of(*UNET_GROUPS), COUNTING))
def test_inspire_gives_every_key_the_rate_of_its_block(weights):
    keys = model_keys(weights.layout)
    ratios = inspire_ratios(write(weights, "inspire"), keys)
    expected = {key: weights.values[SDXL.block_of_key(key)] for key in keys}
    assert ratios == pytest.approx(expected, rel=0, abs=0.0005 + 1e-12)


@pytest.mark.parametrize(
    "groups, expected",
    [
        (("middle_block.1", "output_blocks.1"), "0.1 0.1 0.1 0.12"),
        (("input_blocks.1", "middle_block.1"), "0.02 0.02 0.02 0.1"),
        (("input_blocks.8", "output_blocks.8"), "0.09 0.09 0.09 0.19"),
        (("input_blocks.1", "middle_block.1", "output_blocks.1"), "0.02 0.02 0.02 0.1 0.1 0.1 0.12"),
        (("input_blocks.0", "middle_block.0"), "0.01 0.01 0.01 0.1"),
    ],
)
def test_neighbours_that_share_a_position_get_a_rate_per_key(groups, expected):
    assert write(BlockWeights(layout_of(*groups), COUNTING), "inspire").split(",")[1] == expected


def test_neighbours_with_the_same_rate_need_no_sub_vector():
    weights = weights_of(layout_of("middle_block.1", "output_blocks.1"), MID=0.5, OUT01=0.5)
    assert write(weights, "inspire").startswith("0,0.5,0,")


def test_a_block_between_them_keeps_neighbours_apart():
    weights = BlockWeights(layout_of("middle_block.1", "output_blocks.0", "output_blocks.1"), COUNTING)
    assert write(weights, "inspire").startswith("0,0.1,0.11,0.12,0")


def test_short_vectors_are_padded_to_12():
    assert write(BlockWeights(layout_of("output_blocks.0", "output_blocks.1"), COUNTING), "inspire") == (
        "0,0.11,0.12" + ",0" * 9
    )
    assert write(weights_of(layout_of(text_encoders=1), BASE=0.5), "inspire") == "0.5" + ",0" * 11


@settings(max_examples=50, deadline=None)
@given(value=st.floats(-1e30, 1e30), digits=st.integers(1, 8))
@example(value=1e-7, digits=3)
@example(value=-0.0, digits=3)
@example(value=-0.0004, digits=3)
@example(value=1e22, digits=8)
def test_numbers_are_written_as_inspire_reads_them(value, digits):
    number = write(weights_of(layout_of("input_blocks.4"), IN04=value), "inspire", digits).split(",")[1]
    assert re.fullmatch(r"-?\d+(\.\d*[1-9])?", number)
    assert number != "-0"
    assert float(number) == pytest.approx(value, rel=1e-15, abs=0.5 * 10**-digits + 1e-12)


def test_impact_has_the_same_vector_in_upper_case():
    weights = BlockWeights(ATTENTION, COUNTING)
    assert write(weights, "impact") == f"<lora:style:1:1:LBW={write(weights, 'inspire')};>"


@pytest.mark.parametrize(
    "name, safe",
    [
        ("style", "style"),
        ("a:b,c", "a_b_c"),
        ("@x", "_x"),
        (" %x ", "_x"),
        ("a\nb", "a_b"),
        (" ", "_"),
        ("é @%", "é @%"),
    ],
)
def test_preset_names_are_made_safe_and_that_is_said(name, safe):
    layout = layout_of("input_blocks.4", name=name)
    weights = weights_of(layout, IN04=0.5)
    preset = write(weights, "inspire-preset")
    assert preset == f"{safe}:{write(weights, 'inspire')}"
    warnings = FORMATS["inspire-preset"].warnings(weights)
    assert warnings == [] if safe == name else repr(safe) in warnings[0]
    assert INSPIRE.parse(preset, layout) == weights


# Reading


def read(text: str, **letters: float) -> dict[str, float]:
    return dict(INSPIRE.parse(text, ATTENTION, **letters).items())


def test_letters_stand_for_the_nodes_widgets_and_their_halves():
    text = "A,a,B,b,0,0,0,0,0,0,0,0"
    assert list(read(text).values())[:4] == [4.0, 2.0, 1.0, 0.5]
    assert list(read(text, A=1.0, B=-3.0).values())[:4] == [1.0, 0.5, -3.0, -1.5]


def test_sub_vectors_that_give_a_block_one_rate_are_read():
    assert read("1,0.5 0.5,1,1,1,1,1,1,1,1,1,1")["IN04"] == 0.5
    collide = layout_of("middle_block.1", "output_blocks.1", keys=2)
    found = INSPIRE.parse("1,0.2 0.2 0.7" + ",0" * 10, collide)
    assert dict(found.items()) == {"MID": 0.2, "OUT01": 0.7}


def test_of_a_sub_vector_for_base_the_first_number_counts():
    assert read("0.3 0.9,1,1,1,1,1,1,1,1,1,1,1")["BASE"] == 0.3


@pytest.mark.parametrize(
    "layout, text, message",
    [
        (ATTENTION, "1,0.5 0.6" + ",1" * 10, "different rates (input_blocks.4 0.5, input_blocks.4 0.6)"),
        (layout_of("middle_block.0", "middle_block.2"), "1,0.5,0.6" + ",0" * 9,
         "gives MID different rates (middle_block.0 0.5, middle_block.2 0.6)"),
        (layout_of("middle_block.1", "output_blocks.1"), "1,0.2 0.7" + ",0" * 10,
         "gives MID different rates (middle_block.1 0.2, middle_block.1 0.7)"),
    ],
)  # fmt: skip
def test_different_rates_within_a_block_are_refused(layout, text, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        INSPIRE.parse(text, layout)


@pytest.mark.parametrize("letter", ["R", "r", "U", "u"])
def test_random_rates_are_refused(letter):
    with pytest.raises(ValueError, match=f"'style', IN05: '{letter}' is a random rate"):
        INSPIRE.parse(f"1,1,{letter}" + ",1" * 9, ATTENTION)


@pytest.mark.parametrize("junk", [".5", "1.", "1e-05", "+1", "nan", "", "0.5  0.5", "C", "٣"])
def test_what_inspire_does_not_read_is_refused(junk):
    with pytest.raises(ValueError, match="'style', IN05: .* is not a number. Expected digits as in 1, 0.5 or -0.25"):
        INSPIRE.parse(f"1,1,{junk}" + ",1" * 9, ATTENTION)


@pytest.mark.parametrize(
    "layout, text, message",
    [
        (ATTENTION, "1" + ",1" * 16, f"'style': expected 12 values: {TWELVE}; got 17: '1,1,"),
        (ATTENTION, "SD-FACE", f"expected 12 values: {TWELVE}; got 1: 'SD-FACE'"),
        (ATTENTION, "1" + ",1" * 19, "or all 20 blocks as format 'plain'"),
        (LOCON, "1" + ",1" * 11, "MID (middle_block.0), MID (middle_block.1), MID (middle_block.2), OUT00, "),
        (layout_of("output_blocks.0"), "1,1", "expected 12 values or more: BASE, OUT00, and padding; got 2: '1,1'"),
        (layout_of("middle_block.1", "output_blocks.1"), "1", "BASE, MID (middle_block.1)+OUT01, and padding; got 1"),
    ],
)
def test_a_count_that_cannot_be_meant_is_refused_with_the_blocks_of_this_lora(layout, text, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        INSPIRE.parse(text, layout)


def test_padding_may_be_longer_but_must_be_numbers():
    b_lora = layout_of("output_blocks.0", "output_blocks.1")
    assert INSPIRE.parse("0,0.5,0.6" + ",1" * 14, b_lora).values[11:13] == (0.5, 0.6)
    with pytest.raises(ValueError, match="'style', padding: 'x' is not a number"):
        INSPIRE.parse("0,0.5,0.6" + ",0" * 8 + ",x", b_lora)


@settings(max_examples=40, deadline=None)
@given(layout=layouts(), data=st.data())
def test_vectors_are_read_as_inspire_reads_them(layout, data):
    keys = model_keys(layout)
    numbers = st.sampled_from(["0", "0.5", "-1", "2.25"])
    entries = st.one_of(numbers, numbers, st.lists(numbers, min_size=1, max_size=5).map(" ".join))
    places = write(BlockWeights(layout, (0.0,) * 20), "inspire").count(",") + 1
    text = ",".join(data.draw(st.lists(entries, min_size=places, max_size=places)))
    ratios = inspire_ratios(text, keys)
    try:
        values = INSPIRE.parse(text, layout).values
    except ValueError as error:
        assert "different rates" in str(error)
        by_block: dict[int, set[float]] = {}
        for key, ratio in ratios.items():
            by_block.setdefault(SDXL.block_of_key(key), set()).add(ratio)
        assert max(map(len, by_block.values())) > 1
    else:
        assert ratios == {key: values[SDXL.block_of_key(key)] for key in keys}


def test_a_spec_counts_the_blocks_that_the_lora_has():
    rates = read("%default=0.9,base=0.3,in2-3=0.1,mid=0.2,out1=0.4,out6=0.5")
    assert rates["BASE"] == 0.3 and rates["MID"] == 0.2
    assert [rates[block] for block in ("IN04", "IN05", "IN07", "IN08")] == [0.9, 0.1, 0.1, 0.9]
    assert [rates[f"OUT0{i}"] for i in range(6)] == [0.4, 0.9, 0.9, 0.9, 0.9, 0.5]


def test_a_spec_without_values_is_all_ones():
    assert set(read("%").values()) == {1.0}


def test_a_specs_blocks_that_the_lora_lacks_are_ignored():
    assert set(read("%in0=0,in5=0,in9-12=0,out7=0,mid2=0").values()) == {1.0}


@pytest.mark.parametrize("item", ["in1=-0.5", "in=x", "inn1=0.5", "IN1=0.5", "double1=0.5", "0.5"])
def test_what_inspire_drops_from_a_spec_is_dropped_with_a_warning(item, caplog):
    assert set(read(f"%default=0.5,{item}").values()) == {0.5}
    assert f"'style': Inspire ignores {item!r}" in caplog.text


def test_what_inspire_reads_half_of_is_read_so_with_a_warning(caplog):
    assert read("%in1=1e-1")["IN04"] == 1.0
    assert "Inspire reads 'in1=1e-1' as 'in1=1'" in caplog.text


def test_a_spec_that_reads_as_written_logs_nothing(caplog):
    read("%default=0.5, base=1,in1-2=0.25")
    read("%")
    assert caplog.text == ""


def test_a_spec_may_give_colliding_blocks_more_values_than_positions():
    layout = layout_of(*(f"input_blocks.{i}" for i in range(9)), "middle_block.1", "output_blocks.1", "output_blocks.2")
    rates = INSPIRE.parse("%mid=0.2,out1=0.7,out2=0.9", layout)
    assert (rates["MID"], rates["OUT01"], rates["OUT02"]) == (0.2, 0.2, 0.7), "everything after them moves by one"


@pytest.mark.parametrize(
    "layout, text, message",
    [
        (layout_of("output_blocks.0"), "%out=1", "'style': Inspire refuses a % spec for it, because it makes 2 values"),
        (ATTENTION, "%default=1.", "BASE: '1.' is not a number"),
        (ATTENTION, "%in1=1.2.3", "'in1=1.2.3': '1.2.3' is not a number"),
        (ATTENTION, "%in1=0.00001", "IN04: '1e-05' is not a number"),
        (LOCON, "%mid2=0.5", "gives MID different rates (middle_block.0 1, middle_block.1 0.5, middle_block.2 1)"),
    ],
)
def test_specs_that_cannot_be_used_are_refused(layout, text, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        INSPIRE.parse(text, layout)


def test_impact_reads_letters_and_a_presets_name_from_its_tag():
    text = "a cat <lora:style:1:1:LBW=SD-BODY_0:A,B,b" + ",0" * 9 + ";A=3;B=0.5;>"
    assert list(dict(IMPACT.parse(text, ATTENTION).items()).values())[:3] == [3.0, 0.5, 0.25]


def test_impact_refuses_other_strengths():
    with pytest.raises(ValueError, match="'0.7' in the tag changes the rates"):
        IMPACT.parse("<lora:style:1:0.7:LBW=1" + ",1" * 11 + ";>", ATTENTION)


# A LoRA whose vector for Inspire has 20 values too.
TWENTY = layout_of(*(group for group in UNET_GROUPS if group not in ("input_blocks.0", "middle_block.1")))


def test_twenty_values_are_ours_unless_the_format_is_named(tmp_path):
    lora = lora_file(tmp_path, TWENTY)
    text = ",".join(str(i) for i in range(20))
    assert parse(text, lora)["IN01"] == 2.0
    assert parse(text, lora, "a1111")["IN01"] == 2.0
    with pytest.raises(ValueError, match="gives MID different rates"):
        parse(text, lora, "inspire")


def test_marks_make_twenty_values_inspires(tmp_path):
    lora = lora_file(tmp_path, TWENTY)
    for text in ("B,1" + ",1" * 18, "1 1,1" + ",1" * 18, "NAME:1" + ",1" * 19):
        assert parse(text, lora).values == (0.0, 0.0, *(1.0,) * 18), text
    assert parse("A" + ",A" * 19, lora, A=0.5)["IN01"] == 0.5


def test_every_block_name_is_in_the_expected_list():
    with pytest.raises(ValueError) as error:
        INSPIRE.parse("1", layout_of(*UNET_GROUPS, text_encoders=1))
    assert all(block in str(error.value) for block in SDXL.blocks)

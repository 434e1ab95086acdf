"""The formats that list all blocks, whatever the LoRA has."""

import re

import pytest

from appl_search.architectures.sdxl import SDXL
from appl_search.weights.block_weights import BlockWeights
from appl_search.weights.formats import FORMATS, write

from .layouts import UNET_GROUPS, layout_of, weights_of

FULL = layout_of(*UNET_GROUPS, text_encoders=1, unet_other=1)
WEIGHTS = BlockWeights(FULL, tuple(i / 10 for i in range(20)))
TWENTY = "0,0.1,0.2,0.3,0.4,0.5,0.6,0.7,0.8,0.9,1,1.1,1.2,1.3,1.4,1.5,1.6,1.7,1.8,1.9"


@pytest.mark.parametrize("name", ["plain", "a1111"])
def test_twenty_values_are_in_our_order(name):
    assert write(WEIGHTS, name) == TWENTY


def test_tags_carry_the_name_the_strength_and_twenty_values():
    assert write(WEIGHTS, "a1111-tag") == write(WEIGHTS, "sdnext") == f"<lora:style:1:lbw={TWENTY}>"


def test_forge_neo_has_26_places_with_zeros_for_the_blocks_that_sdxl_lacks():
    values = write(WEIGHTS, "forge-neo").split(",")
    assert len(values) == 26
    assert values[10:13] == ["0"] * 3 and values[23:] == ["0"] * 3
    assert ",".join(values[:10] + values[13:23]) == TWENTY


def test_kohya_prints_the_published_programs_line():
    weights = weights_of(FULL, BASE=-0.0001, IN00=0.5, OUT08=1.2345)
    assert write(weights, "kohya") == f"Network 0 weights: 0.000,0.500,{'0.000,' * 17}1.234"


def test_kohya_line_is_found_in_a_log():
    text = f"epoch 3/10\nsaving checkpoint: out\nNetwork 1 weights: {TWENTY}\nsteps: 100%"
    assert FORMATS["kohya"].parse(text, FULL) == WEIGHTS


def test_two_kohya_lines_are_refused():
    text = f"Network 0 weights: {TWENTY}\nNetwork 1 weights: {TWENTY}"
    with pytest.raises(ValueError, match="expected one line 'Network 0 weights: ...', got 2"):
        FORMATS["kohya"].parse(text, FULL)


@pytest.mark.parametrize("name, expected", [("plain", 20), ("a1111", 20), ("forge-neo", 26), ("kohya", 20)])
def test_another_count_is_refused_with_the_places(name, expected):
    text = "1,2,3" if name != "kohya" else "Network 0 weights: 1,2,3"
    pattern = rf"'style': expected {expected} values for format '{name}': BASE, IN00, .*OUT08.*; got 3: '1,2,3'"
    with pytest.raises(ValueError, match=pattern):
        FORMATS[name].parse(text, FULL)


@pytest.mark.parametrize("junk", ["x", "", "1 2", "nan", "inf", "0x1", "1_0", "R", "٣"])
def test_junk_is_refused_with_its_block(junk):
    text = ",".join(["1"] * 4 + [junk] + ["1"] * 15)
    with pytest.raises(ValueError, match=f"'style', IN03: {re.escape(repr(junk))} is not a number"):
        FORMATS["plain"].parse(text, FULL)


@pytest.mark.parametrize("number, value", [(".5", 0.5), ("1.", 1.0), ("+1", 1.0), ("1e-1", 0.1), (" 2\n", 2.0)])
def test_numbers_are_read_as_people_write_them(number, value):
    assert FORMATS["plain"].parse(",".join([number] * 20), FULL).values == (value,) * 20


@pytest.mark.parametrize(
    "text, message",
    [
        (f"a picture <lora:style:1:lbw={TWENTY}> of <lora:other:0.5>", None),
        (f"<lora:style:1.0:lbw={TWENTY}>", None),
        (f"<lora:style:0.8:lbw={TWENTY}>", "'0.8' in the tag changes the rates"),
        (f"<lora:style:1:0.5:lbw={TWENTY}>", "'0.5' in the tag changes the rates"),
        (f"<lora:style:1:lbw={TWENTY}:stop=10>", "'stop=10' in the tag changes the rates"),
        (f"<lora:a:1:lbw={TWENTY}><lora:b:1:lbw={TWENTY}>", "expected one <lora:NAME:1:lbw=...> tag, got 2"),
        (f"lbw={TWENTY}", "expected one <lora:NAME:1:lbw=...> tag, got 0"),
        (f"<lora:style:1:LBW={TWENTY};>", "expected one <lora:NAME:1:lbw=...> tag, got 0"),
    ],
)
def test_a_tag_is_read_only_where_it_says_just_the_rates(text, message):
    if message is None:
        assert FORMATS["a1111-tag"].parse(text, FULL) == WEIGHTS
    else:
        with pytest.raises(ValueError, match=re.escape(message)):
            FORMATS["a1111-tag"].parse(text, FULL)


def test_a1111_warns_that_its_base_is_the_text_encoders_alone():
    with_others = layout_of("input_blocks.4", text_encoders=1, unet_other=3)
    for name in ("a1111", "a1111-tag"):
        (warning,) = FORMATS[name].warnings(weights_of(with_others, BASE=0.5))
        assert "the 3 time_embed, label_emb and out keys of 'style' stay at strength 1 instead of 0.5" in warning
        assert FORMATS[name].warnings(weights_of(with_others, BASE=1.0)) == []
        assert FORMATS[name].warnings(weights_of(layout_of("input_blocks.4", text_encoders=1), BASE=0.5)) == []


def test_sdnext_warns_that_the_last_layers_follow_out08():
    with_others = layout_of("input_blocks.4", unet_other=3)
    (warning,) = FORMATS["sdnext"].warnings(weights_of(with_others, BASE=0.5))
    assert "follow OUT08 there" in warning and "0 instead of 0.5" in warning
    assert FORMATS["sdnext"].warnings(weights_of(layout_of("input_blocks.4", text_encoders=1), BASE=0.5)) == []


@pytest.mark.parametrize("name", ["a1111-tag", "sdnext", "impact"])
@pytest.mark.parametrize("sign", [":", "<", ">"])
def test_a_name_that_a_tag_cannot_carry_is_warned_of(name, sign):
    layout = layout_of("input_blocks.4", name=f"my{sign}style")
    (warning,) = FORMATS[name].warnings(weights_of(layout))
    assert repr(sign) in warning and layout.name in warning
    assert FORMATS[name].warnings(weights_of(layout_of("input_blocks.4", name="my (style), v1.0"))) == []


@pytest.mark.parametrize("name, odd", [("impact", "__pose__"), ("impact", "{a|b}"), ("a1111-tag", "a=b")])
def test_each_tag_has_its_own_signs(name, odd):
    assert len(FORMATS[name].warnings(weights_of(layout_of("input_blocks.4", name=odd)))) == 1


@pytest.mark.parametrize("name", ["plain", "inspire", "forge-neo", "kohya", "json", "csv"])
def test_formats_without_a_gap_do_not_warn(name):
    weights = BlockWeights(layout_of(*UNET_GROUPS, text_encoders=1, unet_other=1, name="a:b"), (0.5,) * 20)
    assert FORMATS[name].warnings(weights) == []


@pytest.mark.parametrize(
    "name, text, message",
    [
        ("json", "{", "is not JSON"),
        ("json", "[1, 2]", 'expected JSON like {"block_weights"'),
        ("json", '{"block_weights": {"IN04": 1, "OUT00": true}}', "OUT00: 'True' is not a number"),
        ("json", '{"block_weights": {"IN04": 1}}', "no rate for OUT00. Expected one for each block that it has"),
        ("json", '{"block_weights": {"IN9": 1}}', "'IN9' is not an SDXL block"),
        ("csv", "block,rate\nIN04,1\n", "no rate for OUT00"),
        ("csv", "block,rate\nIN04,1\nOUT00\n", "OUT00: '' is not a number"),
        ("csv", "name,value\nIN04,1\n", "first line is 'block,present,rate,standard_error'"),
        ("csv", "", "first line is 'block,present,rate,standard_error'"),
    ],
)
def test_named_rates_are_checked(name, text, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        FORMATS[name].parse(text, layout_of("input_blocks.4", "output_blocks.0"))


def test_an_unknown_format_is_refused_with_the_known_ones():
    with pytest.raises(
        ValueError, match="'auto1111' is not a format of block weights. Expected one of plain, inspire, "
    ):
        write(WEIGHTS, "auto1111")


def test_the_table_names_every_block():
    lines = write(weights_of(layout_of("input_blocks.4"), IN04=0.5), "csv").splitlines()
    assert lines[0] == "block,present,rate,standard_error"
    assert [line.split(",")[0] for line in lines[1:]] == list(SDXL.blocks)
    assert "IN04,true,0.5," in lines and "OUT00,false,0," in lines

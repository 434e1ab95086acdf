"""Texts as people have them, of no named format: read as they are meant, or an error that says what to do."""

from __future__ import annotations

import random
import time

import pytest

from appl_search.architectures import ARCHITECTURES
from appl_search.loras.layout import LoraLayout
from appl_search.weights.block_weights import BlockWeights
from appl_search.weights.formats import FORMATS
from appl_search.weights.registry import read

from .layouts import ATTENTION_GROUPS, UNET_GROUPS, layout_of, weights_of

ATTENTION = layout_of(*ATTENTION_GROUPS, text_encoders=2)
LOCON = layout_of(*(group for group in UNET_GROUPS if group != "input_blocks.0"), text_encoders=2)
B_LORA = layout_of("output_blocks.0", "output_blocks.1")
#: 19 positions for Inspire: its vector has 20 values, as a list of all blocks has.
NINETEEN = layout_of(*(group for group in UNET_GROUPS if group not in ("input_blocks.0", "middle_block.0")), text_encoders=1)
OF_SD15 = LoraLayout("old", "0" * 64, {f"{kind}_blocks.{i}": 2 for kind in ("input", "output") for i in range(12)}, ARCHITECTURES["sd15"])
COUNTING = tuple(i / 20 for i in range(20))
TWELVE = ("BASE", "IN04", "IN05", "IN07", "IN08", "MID", *(f"OUT{i:02}" for i in range(6)))


def test_a1111s_tag_of_12_values_is_for_the_attention_blocks():
    weights = read("<lora:x:1:lbw=1,0.9,0.8,0.7,0.6,0.5,0.1,0.2,0.3,0.4,0,1>", ATTENTION)
    rates = (1, 0.9, 0.8, 0.7, 0.6, 0.5, 0.1, 0.2, 0.3, 0.4, 0, 1)
    assert dict(weights.items()) == dict(zip(TWELVE, rates, strict=True))


def test_blocks_that_12_values_do_not_name_are_off_in_a1111_and_on_in_sdnext():
    tag = f"<lora:x:1:lbw={','.join(['0.5'] * 12)}>"
    assert read(tag, LOCON)["IN01"] == 0 and read(tag, LOCON)["IN04"] == 0.5
    assert read(tag, LOCON, "sdnext")["IN01"] == 1 and read(tag, LOCON, "sdnext")["IN04"] == 0.5


@pytest.mark.parametrize("text", ["<lora:x:1:lbw={}>", "NAME:{}", "{}"])
def test_17_values_are_for_sd15(text):
    with pytest.raises(ValueError, match="has 17 values, and that is SD 1.5, but this LoRA is for SDXL. Expected 20"):
        read(text.format(",".join(["1"] * 17)), ATTENTION)


@pytest.mark.parametrize("text", ["<lora:x:1:lbw=MIDD>", "MIDD", "SD-FACE", "<lora:x:1:1:LBW=SD-FACE;>"])
def test_a_presets_name_is_called_one(text):
    with pytest.raises(ValueError, match="A preset's name says nothing of its numbers.* Give the numbers."):
        read(text, ATTENTION)


def test_the_packs_own_inspire_string_of_20_values_asks_for_the_format():
    weights = BlockWeights(NINETEEN, COUNTING)
    text = weights.to_string("inspire")
    assert text.count(",") == 19
    with pytest.raises(ValueError, match=r"in the format 'plain' or 'inspire' or 'a1111', and they give .*\(IN01: .* Choose the format"):
        read(text, NINETEEN)
    assert read(text, NINETEEN, "inspire") == weights
    assert read(weights.to_string("plain"), NINETEEN, "plain") == weights


def test_20_values_that_say_the_same_either_way_are_read():
    assert set(read(",".join(["0.5"] * 20), NINETEEN).values) == {0.0, 0.5}


def test_numbers_that_rate_nothing_tell_which_format_is_meant():
    plain = ",".join(["0.3", *["0"] * 10, "0.5", "0.25", *["0"] * 7])
    assert dict(read(plain, B_LORA).items()) == {"OUT00": 0.5, "OUT01": 0.25}
    assert dict(read("0,0.5,0.25" + ",0" * 9, B_LORA).items()) == {"OUT00": 0.5, "OUT01": 0.25}
    for text in ("0,0.5,0.25" + ",0" * 17, "1,1,1" + ",0" * 17, "1,1,1,1,1" + ",0" * 7, "1,0,0,0,0,0,1,0.5,0,0,0,0"):
        with pytest.raises(ValueError, match="Choose the format"):
            read(text, B_LORA)


def test_a_presets_line_with_all_20_values_loses_none():
    line = "NAME:" + ",".join(["1", *["0"] * 10, "0.5", "0.25", *["0"] * 7])
    assert dict(read(line, B_LORA).items()) == {"OUT00": 0.5, "OUT01": 0.25}
    varied = "NAME:" + ",".join(["1", "1", *["0"] * 9, "0.5", "0.25", *["0.75"] * 7])
    with pytest.raises(ValueError, match=r"'inspire-preset' or 'a1111', .*\(OUT00: 1 as 'inspire-preset', 0.5 as 'a1111'\)"):
        read(varied, B_LORA)
    assert read(varied, B_LORA, "a1111")["OUT00"] == 0.5


def test_12_bare_values_do_not_switch_off_what_they_do_not_name():
    with pytest.raises(ValueError, match="expected 21 values"):
        read(",".join(["1"] * 12), LOCON)


CSV = "block,present,rate,standard_error\n{}\nOUT00,true,1,"
ONE = layout_of("output_blocks.0", text_encoders=1)


@pytest.mark.parametrize("row", ["BASE,true,0,5", "BASE,true,0,5,", "BASE,true,0,5,0,01"])
def test_a_decimal_comma_in_a_table_is_refused(row):
    with pytest.raises(ValueError, match="expected a decimal point and 4 fields"):
        read(CSV.format(row), ONE)


def test_a_standard_error_of_a_whole_number_is_no_decimal_comma():
    weights = BlockWeights(ONE, (1.0,) * 20, (5.0,) * 20)
    assert read(weights.to_string("csv"), ONE).stderr[0] == 5.0


@pytest.mark.parametrize(
    "text",
    [
        CSV.format("BASE,true,0.5,\nbase,true,0.7,"),
        '{"block_weights": {"BASE": 1, "OUT00": 1, "base": 0.5}}',
        '{"block_weights": {"BASE": 1, "OUT00": 1, "BASE": 1}}',
    ],
)
def test_a_block_twice_is_refused(text):
    with pytest.raises(ValueError, match="BASE is there twice"):
        read(text, ONE)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_every_end_of_a_line_is_one(end):
    text = CSV.format("BASE,true,0.5,").replace("\n", end)
    assert dict(read(text, ONE).items()) == {"BASE": 0.5, "OUT00": 1.0}
    log = f"epoch 1{end}Network 0 weights: {','.join(['0.5'] * 20)}{end}steps: 100"
    assert dict(read(log, ONE).items()) == {"BASE": 0.5, "OUT00": 0.5}


DIGITS = "9" * 5000
LONG = [
    ",".join([DIGITS] * 20),
    '{"block_weights": {"BASE": ' + DIGITS + ', "OUT00": 1}}',
    '{"block_weights": ' * 5000,
    CSV.format(f"BASE,true,{DIGITS},"),
    CSV.format(f'"{"x" * 200_000}",true,1,'),
    f"%in{DIGITS}-{DIGITS}x=1",
    f"%in1={DIGITS}",
    "9" * 1_000_000,
    "1," * 500_000,
    "1 " * 500_000,
    "<lora:x:lbw=" * 80_000,
    "<lora:x:1:lbw=" * 70_000 + "1>",
    "<lora:x:1:1:LBW=a" * 60_000,
    "Network 1 weights:" * 50_000,
    "Network " + "1" * 1_000_000,
    "%" + "in1=x," * 150_000,
    "block,rate\n" + "BASE,1\n" * 100_000,
    "{" * 1_000_000,
    "a:" * 500_000,
    " " * 1_000_000 + "x",
    "\n" * 1_000_000,
    "é" * 1_000_000,
    "." * 1_000_000,
    '{"a":1,' * 140_000,
]


def told(text: str, layout, format: str | None = None) -> str:
    """The error that a text gives, "" for finite rates; all else fails the test."""
    try:
        weights = read(text, layout, format)
    except ValueError as error:
        assert 10 < len(str(error)) <= 500, str(error)
        return str(error)
    assert all(abs(rate) < float("inf") for rate in weights.values)
    return ""


@pytest.mark.parametrize("number", range(len(LONG)))
def test_long_texts_get_a_short_error_at_once(number):
    """Work that grows with the square of a megabyte would take minutes: no clock is needed, but for a limit far off."""
    started = time.process_time()
    assert told(LONG[number], ONE)
    for name in FORMATS:
        told(LONG[number], ONE, name)
    assert time.process_time() - started < 20


def test_numbers_with_thousands_of_decimals_are_read():
    assert read(",".join(["0.5" + "0" * 5000] * 20), ONE)["BASE"] == 0.5
    number = "0.5" + "0" * 5000
    assert read(f'{{"block_weights": {{"BASE": {number}, "OUT00": 1}}}}', ONE)["BASE"] == 0.5
    assert read("%in" + "0" * 5000 + "1=0.5", ATTENTION)["IN04"] == 0.5


PARTS = (
    ",", ",,", ":", ";", "=", "<", ">", "{", "}", "[", "]", '"', "%", " ", "\n", "\r", "\0", "\ufeff", "\u2028", "\ud800",
    "nan", "inf", "-inf", "1e999", "1e-400", "-", "0x1", "1_0", "٣", "R", "A", "b", "lbw=", "LBW=", "<lora:x:1:", "BASE",
    "IN99", "true", "null", "[[", '{"a":', "Network 0 weights:", "NAME:", "in1-3=0.5", "'", "\\", "\\u0000", "9" * 400,
)  # fmt: skip


@pytest.mark.parametrize("name", FORMATS)
def test_mutated_texts_are_read_or_refused_in_few_words(name):
    random.seed(name)
    refused = 0
    for number in range(500):
        layout = (ATTENTION, LOCON, B_LORA, NINETEEN, OF_SD15)[number % 5]
        text = BlockWeights(layout, tuple(i / 20 for i in range(len(layout.architecture.blocks)))).to_string(name)
        for _ in range(random.randint(1, 3)):
            start = random.randrange(len(text) + 1)
            cut = random.choice((0, 0, 1, 2, 30, len(text)))
            text = text[:start] + random.choice(PARTS) * random.choice((1, 1, 1, 3, 50)) + text[start + cut :]
        refused += bool(told(text, layout)) + bool(told(text, layout, name))
    assert refused > 300, "these mutations hurt"


def test_messages_cut_long_names():
    layout = layout_of("input_blocks.4", name="x" * 900)
    for text in ("1", "{", "<lora:x:1:lbw=1>", "block,rate\nIN04,x", "%in1=1"):
        assert told(text, layout)
    assert all(len(warning) < 500 for warning in FORMATS["impact"].warnings(weights_of(layout_of("input_blocks.4", name="<" * 900))))

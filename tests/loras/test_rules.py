"""Rules for blocks as people write them: what each says, what it comes to together with others, and what is told of a wrong one."""

from __future__ import annotations

import random
import re

import pytest

from appl_search import LoraSource
from appl_search.architectures import ARCHITECTURES
from appl_search.architectures.sd15 import SD15
from appl_search.architectures.sdxl import SDXL
from appl_search.loras.rules import BlockRules, by_lora
from tests import oracle


def said(text: str, architecture=SDXL) -> dict[str, str]:
    """What a text says of each block that it does not leave to the search."""
    rules = BlockRules.parse(text, architecture)
    values = {name: rules.value(block) for block, name in enumerate(architecture.blocks)}
    return {name: value for name, value in values.items() if value != "search"}


def test_the_grammar_in_one_text():
    assert said("IN00-03 = 0; MID = search; OUT03-OUT05 = same as OUT02; BASE = 0.8") == {
        "IN00": "0", "IN01": "0", "IN02": "0", "IN03": "0", "BASE": "0.8",
        "OUT03": "same as OUT02", "OUT04": "same as OUT02", "OUT05": "same as OUT02",
    }  # fmt: skip


@pytest.mark.parametrize(
    "text, expected",
    [
        ("", {}),
        ("  \n;; ;", {}),
        ("out3=.5", {"OUT03": "0.5"}),
        ("mid, Out08 = -1.25e0", {"MID": "-1.25", "OUT08": "-1.25"}),
        ("IN07-MID = 1", {"IN07": "1", "IN08": "1", "MID": "1"}),
        ("BASE = start", {"BASE": "start"}),
        ("ALL = 0\nOUT01 = SEARCH\nBASE-OUT00 = search; OUT02-08 = search", {}),
        ("IN00 = 0; IN00 = 1", {"IN00": "1"}),
        ("OUT00 = same as OUT05", {"OUT05": "same as OUT00"}),
        ("IN02 = 0.3; IN01 = same as IN02; IN00 = Same  As in1", {"IN00": "0.3", "IN01": "0.3", "IN02": "0.3"}),
        ("IN01 = same as IN02; IN02 = 0.3", {"IN01": "0.3", "IN02": "0.3"}),
        ("IN00 = same as IN01; IN01 = same as IN00", {"IN01": "same as IN00"}),
        ("MID = same as MID", {}),
    ],
)
def test_what_a_text_says(text, expected):
    assert said(text) == expected


def test_a_section_is_tied_by_one_of_its_blocks():
    assert said("IN = same as IN00") == {f"IN0{number}": "same as IN00" for number in range(1, 9)}


def test_ranges_and_sections_are_those_of_the_architecture():
    assert said("IN = 0", SD15) == {f"IN{number:02}": "0" for number in range(12)}
    assert said("OUT9-11 = 1", SD15) == {"OUT09": "1", "OUT10": "1", "OUT11": "1"}
    with pytest.raises(ValueError, match="'OUT9' is no block of SDXL. Expected one of BASE, IN00-IN08, MID, OUT00-OUT08;"):
        said("OUT9-11 = 1")


@pytest.mark.parametrize(
    "text, expected",
    [
        ("IN00", "'IN00': expected blocks, '=' and what becomes of them, such as IN00-IN02 = 0; or, in front of all other rules, one of everything searched,"),
        ("BASE = 1; IN00 = ", "'IN00 =': expected blocks"),
        (" = 0.5", "'= 0.5': expected blocks"),
        ("IN00 = off", "'IN00 = off': 'off' is no rule. Expected search, a number such as 0.5"),
        ("IN00 = 0,5", "'0,5' is no rule"),
        ("IN00 = nan", "'nan' is no rule"),
        ("IN00 = 1e999", "'1e999' is no rule"),
        ("IN00 = 1_0", "'1_0' is no rule"),
        ("IN00 = same as IN", "'IN' is no block of SDXL"),
        ("IN00 = same as", "'same as' is no rule"),
        ("IN00, , MID = 0", "'' is no block of SDXL"),
        ("IN03-IN01 = 0", "the range 'IN03-IN01' ends before it begins"),
        ("BASE-3 = 0", "'BASE3' is no block of SDXL"),
        ("IN00-IN01-IN02 = 0", "'IN00-IN01-IN02' is no block of SDXL"),
        ("IN9 = 0", "'IN9' is no block of SDXL"),
        ("x" * 500 + " = 0", "..."),
    ],
)
def test_a_wrong_part_is_named_with_what_was_expected(text, expected):
    with pytest.raises(ValueError, match=re.escape(expected)) as error:
        BlockRules.parse(text, SDXL)
    assert str(error.value).startswith("Block rules: ") and len(str(error.value)) < 600


@pytest.mark.parametrize("architecture", ARCHITECTURES.values(), ids=ARCHITECTURES)
def test_any_rules_survive_their_text(architecture):
    names, choose = architecture.blocks, random.Random(3)
    for _ in range(300):
        rights = ["search", "start", "0", repr(choose.uniform(-2, 2)), f"same as {choose.choice(names)}", f"same as {choose.choice(names)}"]
        rules = BlockRules.parse(";".join(f"{name} = {choose.choice(rights)}" for name in choose.choices(names, k=30)), architecture)
        assert BlockRules.parse(rules.text(), architecture) == rules


def test_a_text_names_sections_and_ranges():
    assert BlockRules.parse("ALL = 0; OUT01 = search", SDXL).text() == "BASE, IN, MID, OUT00, OUT02-OUT08 = 0"
    assert BlockRules.parse("ALL = .5", SDXL).text() == "ALL = 0.5"
    assert BlockRules.parse("ALL = same as MID; IN00, IN02 = 1", SDXL).text() == "IN00, IN02 = 1; IN01, IN03-IN08, MID, OUT = same as BASE"


def test_what_is_said_afterwards_takes_blocks_out_of_their_group_and_leaves_the_rest_together():
    sections = BlockRules.parse("IN = same as IN00; MID = 0.5", SDXL)
    assert sections.overridden("IN00, IN04 = 0").text() == "IN00, IN04 = 0; IN02-IN03, IN05-IN08 = same as IN01; MID = 0.5"
    assert sections.overridden("OUT00 = same as IN03").text() == "IN01-IN08, OUT00 = same as IN00; MID = 0.5"
    assert sections.overridden("IN02-03 = same as MID").text() == "IN01, IN04-IN08 = same as IN00; IN02-IN03, MID = 0.5"
    assert sections.overridden("") == sections


def test_a_source_has_what_the_rules_say_and_says_it():
    source = LoraSource(oracle.LORA_A, start={"IN00": 0.25})
    rules = BlockRules.parse("IN00-01 = start; MID = -0.5; OUT = same as OUT00", SDXL)
    applied = rules.applied_to(source, init=0.75)
    assert applied.fixed == {"IN00": 0.25, "IN01": 0.75, "MID": -0.5}
    assert applied.tie == {f"OUT0{number}": "OUT00" for number in range(1, 9)}
    assert BlockRules.of(applied, SDXL).text() == "IN00 = 0.25; IN01 = 0.75; MID = -0.5; OUT01-OUT08 = same as OUT00"
    assert BlockRules.none(SDXL).applied_to(applied, 0.5) == source


def test_the_words_for_ties_of_a_source_are_rules_too():
    fixed = {"IN00": 1.0, "IN02": 0.0}
    assert BlockRules.of(LoraSource(oracle.LORA_A, fixed=fixed, tie="sections"), SDXL).text() == (
        "IN00 = 1; IN02 = 0; IN03-IN08 = same as IN01; OUT01-OUT08 = same as OUT00"
    )
    assert BlockRules.of(LoraSource(oracle.LORA_A, tie="all"), SDXL) == BlockRules.parse("ALL = same as BASE", SDXL)


def test_a_block_cannot_be_tied_to_one_that_is_tied_itself():
    with pytest.raises(ValueError, match="IN02 is tied to IN01, which is tied to IN00"):
        LoraSource(oracle.LORA_A, tie={"IN02": "IN01", "IN01": "IN00"})
    with pytest.raises(ValueError, match="'XX' is not an SDXL or SD 1.5 block"):
        LoraSource(oracle.LORA_A, tie={"IN02": "XX"})


def test_lines_for_one_lora_and_for_all():
    names = ["style", "me:style", "sub/b"]
    text = "style: IN = 0; MID = 1\nme:style: OUT = 0\nBASE = 0.8\n3: IN00 = 1\n sub/b:MID = 0"
    assert by_lora(text, names) == ["IN = 0; MID = 1\nBASE = 0.8", "OUT = 0\nBASE = 0.8", "BASE = 0.8\nIN00 = 1\nMID = 0"]
    assert by_lora("b: IN = 0\n2: IN = 1", ["b", "b"]) == ["IN = 0", "IN = 0\nIN = 1"]
    with pytest.raises(ValueError, match="there is no LoRA 'stile'. Expected one of style, me:style, sub/b, or its number"):
        by_lora("stile: IN = 0", names)
    with pytest.raises(ValueError, match="there is no LoRA '4'"):
        by_lora("4: IN = 0", names)

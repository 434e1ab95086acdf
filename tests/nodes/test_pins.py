"""Pins of the panel: the text of the search node's widget, as the page sees and changes it."""

from __future__ import annotations

import sys

import pytest

from appl_search.loras.rules import by_lora
from appl_search.weights.fields import Fields
from tests import pack
from tests.nodes.results import result_for

PACK = pack.load_pack()
panel_pins = sys.modules[f"{pack.NAME}.nodes.panel.pins"]
panel_state = sys.modules[f"{pack.NAME}.nodes.panel.state"]


@pytest.fixture
def loras(folders):
    """What the page knows of LoRAs a and b."""
    found = result_for((folders / "loras" / "a.safetensors", {}), (folders / "loras" / "sub" / "b.safetensors", {}))
    return panel_state.of_result(found, None)["loras"]


def ask(loras, text="", pin=None):
    found = panel_pins.pins(Fields({"text": text, "loras": loras, "pin": pin}))
    return found["text"], [{block: rate for block, rate in enumerate(row) if rate is not None} for row in found["pins"]]


def test_a_text_is_shown_block_by_block(loras):
    assert ask(loras[:1], "IN00-01 = 0; MID = 0.4; OUT00 = same as MID") == (
        "IN00-01 = 0; MID = 0.4; OUT00 = same as MID", [{1: 0, 2: 0, 10: 0.4, 11: 0.4}]
    )  # fmt: skip


def test_a_pin_is_written_and_read_again(loras):
    text, pins = ask(loras[:1], "", {"lora": 0, "block": 10, "rate": 0.40004})
    assert (text, pins) == ("MID = 0.4", [{10: 0.4}])
    text, pins = ask(loras[:1], text, {"lora": 0, "block": 11, "rate": -1.5})
    assert (text, pins) == ("MID = 0.4; OUT00 = -1.5", [{10: 0.4, 11: -1.5}])
    assert ask(loras[:1], text) == (text, pins)
    assert ask(loras[:1], text, {"lora": 0, "block": 10, "rate": None}) == ("OUT00 = -1.5", [{11: -1.5}])


def test_what_the_user_has_written_stays_as_it_is(loras):
    """Also rules that say "search", which count more than those of the LoRA's own."""
    written = "in0-03 = 0; MID = search\nOUT08 = same as OUT00"
    text, pins = ask(loras[:1], written, {"lora": 0, "block": 10, "rate": 0.5})
    assert (text, pins) == ("in0-03 = 0; OUT08 = same as OUT00; MID = 0.5", [{1: 0, 2: 0, 3: 0, 4: 0, 10: 0.5}])
    text, pins = ask(loras[:1], text, {"lora": 0, "block": 2, "rate": None})
    assert (text, pins) == ("in0-03 = 0; OUT08 = same as OUT00; MID = 0.5; IN01 = search", [{1: 0, 3: 0, 4: 0, 10: 0.5}])


def test_each_lora_has_pins_of_its_own(loras):
    text, _ = ask(loras, "MID = 0.4", {"lora": 1, "block": 0, "rate": 1})
    assert text == "a: MID = 0.4\nb: MID = 0.4; BASE = 1"
    assert ask(loras, text)[1] == [{10: 0.4}, {0: 1, 10: 0.4}]
    assert by_lora(text, ["a", "b"]) == ["MID = 0.4", "MID = 0.4; BASE = 1"]


def test_loras_of_one_name_go_by_their_numbers(loras):
    same = [{**lora, "name": "x"} for lora in loras]
    text, _ = ask(same, "", {"lora": 1, "block": 0, "rate": 1})
    assert text == "2: BASE = 1"
    assert ask(same, text)[1] == [{}, {0: 1}]


@pytest.mark.parametrize("pin", [{"lora": 2, "block": 0, "rate": 1}, {"lora": 0, "block": 20, "rate": 1}, {"lora": 0, "block": -1, "rate": 1}, {"lora": 0, "block": 0, "rate": "x"}, {"lora": 0}, []])
def test_a_pin_that_is_none_is_refused(loras, pin):
    with pytest.raises(ValueError):
        ask(loras, "", pin)


def test_a_text_without_a_meaning_is_refused_in_words(loras):
    with pytest.raises(ValueError, match="BANANA"):
        ask(loras, "BANANA = 0")

"""Captions vary as kohya's own process_caption makes them vary, of which tests/data/kohya has a record."""

from __future__ import annotations

import json
import random

from appl_search.images.wording import Wording
from tests.pack import ROOT

RECORDED = json.loads((ROOT / "tests" / "data" / "kohya" / "captions.json").read_text(encoding="utf-8"))
NAMES = {
    "caption_prefix": "prefix", "caption_suffix": "suffix", "shuffle_caption": "shuffle", "keep_tokens": "keep_tokens",
    "keep_tokens_separator": "keep_separator", "caption_tag_dropout_rate": "tag_dropout", "enable_wildcard": "wildcards",
    "caption_dropout_rate": "dropout", "secondary_separator": "secondary_separator", "caption_separator": "separator",
}  # fmt: skip


def test_every_recorded_caption_comes_out_letter_for_letter():
    assert len(RECORDED) > 300
    for case in RECORDED:
        wording = Wording(**{NAMES[name]: value for name, value in case["options"].items()})
        assert wording.word(case["caption"], random.Random(case["seed"])) == case["result"], case


def test_all_lines_are_one_caption_when_asked_for():
    assert Wording(all_lines=True).word("one\n\n two \nthree", random.Random(0)) == "one two three"
    assert Wording().word("one\n\n two \nthree", random.Random(0)) == "one"


def test_it_says_whether_samples_differ():
    assert not Wording(prefix="a", suffix="b", secondary_separator=";").varies
    assert all(Wording(**change).varies for change in ({"dropout": 0.1}, {"shuffle": True}, {"wildcards": True}))

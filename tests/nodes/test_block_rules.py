"""Block Rules, and what the loader and the search make of them."""

from __future__ import annotations

import json
import sys

import pytest

from appl_search import BlockWeights, LoraSource, SearchResult, SearchSettings
from appl_search.architectures.sdxl import SDXL
from appl_search.host.learnable import split_learnable
from appl_search.host.lora_loading import load
from appl_search.host.lora_patches import apply
from appl_search.loras.rules import PRESETS, BlockRules
from tests import oracle, pack, sd15
from tests.nodes.patched import assert_same_weights

PACK = pack.load_pack()
panel_state = sys.modules[f"{pack.NAME}.nodes.panel.state"]


@pytest.fixture(scope="module")
def training_set():
    return oracle.training_set()


def rules(node, preset="everything searched", text="") -> str:
    return node("ApplSearchBlockRules").make(preset, text)[0]


def learnable(node, model, block_rules="", name="a.safetensors", init=0.5):
    return node("ApplSearchLoadLora").load(model, name, init, block_rules=block_rules)[0]


def run(node, model, training_set, **changes):
    widgets = {"method": "gauss-newton", "samples": 8, "penalty": 1e-4, "seed": 7} | changes
    return node("ApplSearchRun").run(model, None, training_set, settings=SearchSettings(batch_size=4, comparison=0, check_gradient=False), **widgets)


@pytest.mark.parametrize(
    "preset, expected",
    [
        ("everything searched", ""),
        ("character blocks only", "BASE, IN, MID, OUT01-OUT08 = 0"),
        ("style blocks only", "BASE, IN, MID, OUT00, OUT02-OUT08 = 0"),
        ("one rate per section", "IN01-IN08 = same as IN00; OUT01-OUT08 = same as OUT00"),
        ("one rate for all", "IN, MID, OUT = same as BASE"),
        ("text encoder fixed", "BASE = start"),
    ],
)
def test_what_the_presets_say(node, preset, expected):
    assert BlockRules.parse(rules(node, preset), SDXL).text() == expected


def test_every_preset_is_offered_and_can_be_read(node):
    (offered, _) = node("ApplSearchBlockRules").INPUT_TYPES()["required"]["preset"]
    assert offered == list(PRESETS)
    for preset in offered:
        assert BlockRules.parse(rules(node, preset, "MID = 0.5"), SDXL).value(SDXL.block_index("MID")) == "0.5"


def test_own_rules_count_more_than_the_preset(node):
    text = rules(node, "one rate per section", "IN04 = 0\nOUT01 = search")
    assert BlockRules.parse(text, SDXL).text() == (
        "IN01-IN03, IN05-IN08 = same as IN00; IN04 = 0; OUT02-OUT08 = same as OUT00"
    )


def test_a_text_that_nothing_can_read_is_refused_at_this_node(node):
    with pytest.raises(ValueError, match="'IN12 = 0': 'IN12' is no block of SDXL"):
        rules(node, text="IN12 = 0")
    rules(node, text="IN11 = 0")  # a block of SD 1.5


def test_the_loader_gives_the_search_a_source_with_the_rules(node, folders, model):
    out = learnable(node, model, rules(node, "style blocks only", "BASE = start; IN04 = 0.25"), init=0.75)
    _, _, (source,) = split_learnable(out, None)
    assert source.fixed["BASE"] == 0.75 and source.fixed["IN04"] == 0.25 and source.fixed["MID"] == 0.0
    assert len(source.fixed) == 19 and "OUT01" not in source.fixed


def test_until_the_search_fixed_blocks_act_at_their_rates(node, folders, model):
    out = learnable(node, model, rules(node, text="IN = 0; MID = -0.5"))
    source = LoraSource(folders / "loras" / "a.safetensors")
    rates = {name: 0.0 if name.startswith("IN") else -0.5 if name == "MID" else 0.5 for name in SDXL.blocks}
    expected, _ = apply(model, None, load(source, model, None), BlockWeights.for_lora(source, rates))
    in_blocks = {key: [entry for entry in entries if entry[0] != 0] for key, entries in out.patches.items()}
    out.patches = {key: entries for key, entries in in_blocks.items() if entries}
    assert_same_weights(out, expected)


def test_a_preset_that_an_architecture_has_no_blocks_for_is_refused_by_name(node, folders):
    model = sd15.model()
    source = sd15.lora(folders / "loras", model)
    with pytest.raises(ValueError, match="which blocks of SD 1.5 carry the style is not known"):
        learnable(node, model, rules(node, "style blocks only"), f"{source.name}.safetensors")


def test_a_search_keeps_fixed_rates_and_ties_and_every_report_of_it_says_so(node, folders, model, training_set):
    out = learnable(node, model, rules(node, text="IN04 = 0.25; OUT = same as OUT00"))
    result, summary = run(node, out, training_set)["result"][2:4]
    (weights,) = result.block_weights
    assert weights["IN04"] == 0.25 and len({weights[f"OUT0{number}"] for number in range(6)}) == 1
    assert weights["OUT00"] != 0.5 and weights["IN05"] != weights["IN07"]

    text = "IN04 = 0.25; OUT01-OUT08 = same as OUT00"
    assert [each.text() for each in result.rules] == [text]
    assert "IN04    0.250 (fixed)" in summary and "(same as OUT00)" in summary and sum(line.endswith(")") and line[:2] in ("IN", "OU", "MI") for line in summary.splitlines()) == 6
    saved = json.loads(result.to_json())
    assert saved["rules"] == [text]
    assert SearchResult.from_json(result.to_json()).rules == result.rules
    assert result.at_penalty(0.01).rules == result.rules and result.at_penalty(0.01).block_weights[0]["IN04"] == 0.25

    (told,) = panel_state.of_result(result, None)["loras"]
    assert [SDXL.blocks[block] for block, fixed in enumerate(told["fixed"]) if fixed] == ["IN04"]
    assert {SDXL.blocks[block]: SDXL.blocks[other] for block, other in enumerate(told["same_as"]) if other is not None} == {
        f"OUT0{number}": "OUT00" for number in range(1, 9)
    }
    from appl_search.report.html import html_report
    from appl_search.report.tables import table

    page = html_report(result, {}, {})
    assert page.count("<td>fixed</td>") == 1 and page.count("<td>same as OUT00</td>") == 5
    assert [line.split()[-1] for line in table(weights, result.rules[0]) if "IN04" in line] == ["fixed"]
    assert f"Not searched: {text}" in node("ApplSearchToString").write(result, 1, "plain", 3)["result"][1]


def test_pinned_rates_stay_as_they_are_and_count_more_than_the_loaders_rules(node, folders, model, training_set):
    out = learnable(node, learnable(node, model, rules(node, text="IN04, IN05 = 0.25")), name="sub/b.safetensors")
    pinned = "a: IN05 = 0.5; MID = -0.25\nb: OUT00-01 = 0\nOUT02 = 0.125"
    first, second = run(node, out, training_set, pinned=pinned)["result"][2].block_weights
    assert [first[name] for name in ("IN04", "IN05", "MID", "OUT02")] == [0.25, 0.5, -0.25, 0.125]
    assert [second[name] for name in ("OUT00", "OUT01", "OUT02")] == [0.0, 0.0, 0.125]
    assert second["MID"] != 0.5 and first["OUT00"] != 0.5


def test_other_pins_are_another_search_and_the_same_pins_the_same(node, folders, model, training_set):
    out, searcher = learnable(node, model), node("ApplSearchRun")

    def found(pinned):
        settings = SearchSettings(batch_size=4, comparison=0, check_gradient=False)
        return searcher.run(
            out, None, training_set, settings=settings, method="gauss-newton", samples=8, penalty=1e-4, seed=7, pinned=pinned
        )["result"][2]

    free = found("")
    assert found("  ") is free
    pinned = found("MID = 0.25")
    assert pinned is not free and pinned.block_weights[0]["MID"] == 0.25
    assert found("a: MID = .25") is pinned
    assert found("MID = 0.5").block_weights[0]["MID"] == 0.5


@pytest.mark.parametrize(
    "pinned, expected",
    [
        ("style: MID = 0", "pinned: Block rules: 'style: MID = 0': there is no LoRA 'style'. Expected one of a, or its number (1 to 1). Change"),
        ("MID = x", "pinned: Block rules: 'MID = x': 'x' is no rule."),
        ("ALL = 0", "There is no rate to search: every block is fixed"),
    ],
)
def test_pins_that_cannot_be_used_are_named(node, folders, model, training_set, pinned, expected):
    with pytest.raises(ValueError) as error:
        run(node, learnable(node, model), training_set, pinned=pinned)
    assert expected in str(error.value)


def test_old_workflows_have_no_pins(node):
    optional = node("ApplSearchRun").INPUT_TYPES()["optional"]
    assert list(optional)[-1] == "pinned" and optional["pinned"][1]["default"] == ""

"""What the page is told of a comparison and of what blocks do: the same sentence whole and in parts."""

from __future__ import annotations

import sys
from dataclasses import replace

import pytest
import torch

from appl_search.comparing.comparison import SEEN, Candidate, Comparison
from tests import oracle, pack
from tests.blocks_that_do import ablation
from tests.nodes.results import result_for

PACK = pack.load_pack()
panel_state = sys.modules[f"{pack.NAME}.nodes.panel.state"]
NAMES = (Candidate("found"), Candidate("no LoRA", (0.0,)), Candidate("strength 1.00", (1.0,)), Candidate("the best single strength 0.62", (0.62,)))


def told(losses, seen=SEEN[0], pictures=4):
    """Of losses of NAMES that hardly differ from draw to draw."""
    generator = torch.Generator().manual_seed(0)
    drawn = torch.tensor(losses, dtype=torch.float64)[:, None] + 1e-3 * torch.randn(len(losses), 40, generator=generator, dtype=torch.float64)
    comparison = Comparison.of(NAMES, drawn, torch.arange(40) % pictures, seen)
    return panel_state.of_result(replace(result_for((oracle.LORA_A, {})), comparison=comparison), None)["verdict"]


def filled(words) -> str:
    """As the page puts parts together."""
    values = {name: filled(value) if isinstance(value, dict) else value for name, value in words.get("values", {}).items()}
    return words["key"].format_map(values)


@pytest.mark.parametrize("seen", SEEN)
@pytest.mark.parametrize("pictures", [1, 4])
@pytest.mark.parametrize("losses", [(0.10, 0.2, 0.2, 0.13), (0.13, 0.2, 0.2, 0.13), (0.15, 0.2, 0.2, 0.13), (0.2, 0.2, 0.3, 0.3)], ids=["better", "same", "worse", "none"])
def test_the_parts_of_the_sentence_make_it(losses, seen, pictures):
    verdict = told(losses, seen, pictures)
    assert filled(verdict["words"]) == verdict["text"]
    assert [filled(row["words"]) for row in verdict["rows"]] == [each.name for each in NAMES]


def test_numbers_are_no_part_of_what_is_translated():
    verdict = told((0.15, 0.2, 0.2, 0.13))
    assert verdict["words"]["values"]["other"] == {"key": "the best single strength {strengths}", "values": {"strengths": "0.62"}}
    assert [row["words"]["key"] for row in verdict["rows"]] == ["found", "no LoRA", "strength {strengths}", "the best single strength {strengths}"]


def test_changes_are_shares_of_the_loss_found():
    verdict = told((0.10, 0.2, 0.2, 0.13))
    assert [row["change"] for row in verdict["rows"]] == pytest.approx([0, 1, 1, 0.3], abs=0.02)
    assert verdict["use_instead"] is None and told((0.15, 0.2, 0.2, 0.13))["use_instead"] == {"strengths": [0.62]}


def test_without_a_comparison_there_is_no_verdict():
    assert panel_state.of_result(result_for((oracle.LORA_A, {})), None)["verdict"] is None


def test_sentences_on_blocks_are_told_whole_and_in_parts():
    blocks = ablation({(0, (11,)): (0.004, 0.004, 0.016), (0, (12,)): (-0.004, -0.004, -0.004)}, whole=[0.02])
    told = panel_state.of_result(replace(result_for((oracle.LORA_A, {})), ablation=blocks), None)["findings"]
    assert [each["text"].split()[:2] for each in told] == [["OUT00", "carries"], ["OUT01", "does"]]
    assert [filled(each["words"]) for each in told] == [each["text"] for each in told]
    assert told[0]["words"]["values"]["third"] == {"key": "composition"}

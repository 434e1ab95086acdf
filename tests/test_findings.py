"""What blocks do, in words and figures: only what is sure, what matters first, and never many sentences."""

from __future__ import annotations

from dataclasses import replace

import matplotlib.colors
import pytest

from appl_search.comparing.findings import MOST, findings
from appl_search.comparing.units import Unit
from appl_search.report.figures import ALL, FIGURES, THEMES, draw, figures_of, height_of
from appl_search.report.html import html_report
from appl_search.report.insight import alike_shown
from tests.blocks_that_do import ablation, likeness
from tests.test_report_escapes import result_of

BLOCKS = result_of(("a",)).block_weights[0].blocks
ON = [[0.5] * 20]


def texts(found, pairs=None, rates=ON, loras=("a",)) -> list[str]:
    return [each.text for each in findings(found, pairs, loras, BLOCKS, rates)]


def block(name: str) -> tuple[int, tuple[int, ...]]:
    return 0, (BLOCKS.index(name),)


def test_a_block_that_matters_is_named_with_its_share_its_third_and_its_interval():
    found = ablation({block("OUT00"): (0.0, 0.003, 0.021), block("OUT01"): (0.004, 0.004, 0.004)}, whole=[0.02], error=0.002)
    assert texts(found) == [
        "OUT00 carries 40% of what the LoRA brings, most of it composition: without it the loss is 4.0% higher (3.0 to 5.0%).",
        "OUT01 carries 20% of what the LoRA brings: without it the loss is 2.0% higher (1.0 to 3.0%).",
    ]


def test_a_group_of_pictures_for_which_a_block_surely_does_more_is_named():
    more = ablation({block("OUT00"): (0.01, 0.01, 0.01, 0.002, 0.018)}, whole=[0.02], pictures=["photos", "ink"])
    assert texts(more)[0].startswith("OUT00 carries 50% of what the LoRA brings, the most for ink: without")
    same = ablation({block("OUT00"): (0.01, 0.01, 0.01, 0.0095, 0.0105)}, whole=[0.02], pictures=["photos", "ink"])
    assert "ink" not in texts(same)[0]


def test_what_is_not_sure_is_not_said():
    assert texts(ablation({block("OUT00"): (0.01, 0.01, 0.01)}, whole=[0.02], error=0.011)) == []
    unknown = ablation({block("OUT00"): (0.0, 0.0, 0.0)}, whole=[0.02], error=0.03)
    assert texts(unknown) == ["Which blocks of the LoRA matter cannot be told from 48 samples."]


def test_blocks_that_could_go_are_off_or_do_harm():
    rates = [[0.0 if name == "IN01" else 0.5 for name in BLOCKS]]
    found = ablation(
        {block("OUT00"): (0.02,) * 3, block("IN04"): (1e-5,) * 3, block("IN01"): (0.0,) * 3, block("MID"): (-0.005,) * 3},
        whole=[0.02], error=0.0002, at_one=0.004,
    )  # fmt: skip
    assert texts(found, rates=rates) == [
        "OUT00 carries 100% of what the LoRA brings: without it the loss is 10.0% higher (9.9 to 10.1%).",
        "MID does harm: without it the loss is 2.5% lower (2.4 to 2.6%).",
        "IN04 could go: without it less than 2% of what the LoRA brings is lost.",
        "IN01 is better off: at 1 the loss would be 2.0% higher (1.9 to 2.1%).",
    ]


def test_a_block_that_would_hardly_do_harm_is_not_worth_a_sentence():
    found = ablation({block("IN01"): (0.0,) * 3, block("OUT00"): (0.02,) * 3}, whole=[0.02], error=1e-5, at_one=1e-4)
    assert [each.split()[0] for each in texts(found, rates=[[0.0] * 20])] == ["OUT00"]


def test_two_loras_are_told_apart_and_pairs_of_blocks_that_are_on_are_named():
    units = [Unit(lora, (BLOCKS.index(name),)) for lora in (0, 1) for name in ("OUT00", "OUT01")]
    pairs = likeness(units, {(0, 2): 0.95, (1, 3): -0.9, (0, 1): 0.65}, error=0.1)
    assert texts(None, pairs, rates=ON * 2, loras=("cat", "ink")) == [
        "OUT00 (cat) and OUT00 (ink) do the same: one of them could go.",
        "OUT01 (cat) and OUT01 (ink) work against each other: each undoes a part of what the other does.",
    ]
    off = [[0.5] * 20, [0.0] * 20]
    assert texts(None, pairs, rates=off, loras=("cat", "ink")) == []


def test_there_are_never_many_sentences():
    rises = {(lora, (number,)): (0.01, 0.01, 0.01) for lora in (0, 1) for number in range(20)}
    found = ablation(rises, whole=[0.1, 0.1])
    assert len(texts(found, rates=ON * 2, loras=("cat", "ink"))) == MOST


def shown(loras=("cat", "ink"), **pairs):
    result = result_of(loras)
    there = [position for position, is_there in enumerate(result.block_weights[0].present) if is_there]
    rises = {(lora, (number,)): (0.0, 0.001, 0.01) for lora in range(len(loras)) for number in there}
    rises[0, (BLOCKS.index("OUT05"),)] = (-0.004, -0.004, -0.004)
    found = ablation(rises, whole=[0.05] * len(loras))
    return replace(result, ablation=found, likeness=likeness(found.units, {(0, 1): 0.9}))


def test_the_heat_map_has_a_cell_for_each_block_and_range_and_a_number_where_it_is_sure():
    result = shown()
    figure = draw(result, "blocks", "light", 8, 5)
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["all", "composition", "form", "details"]
    first = [each for each in figure.axes[0].patches if each.get_height() == 1 and each.get_zorder() == 2]
    assert len(first) == 4 * sum(result.block_weights[0].present)
    numbers = [text.get_text() for text in figure.axes[1].texts]
    assert numbers.count("5") == 11 and "0.5" not in numbers, "composition is 0.01 of 0.2 in each; form is not surely above 0"
    harm = [text.get_text() for text in figure.axes[0].texts]
    assert harm.count("-2") == 4


def test_the_matrix_is_of_blocks_that_matter_and_says_what_is_alike():
    result = shown(("cat",))
    figure = draw(result, "likeness", "dark", 8, 5)
    assert [text.get_text() for text in figure.axes[0].texts] == ["0.90"]
    background = matplotlib.colors.to_rgb(THEMES["dark"].background)
    (cell,) = [patch for patch in figure.axes[0].patches if abs(patch.get_facecolor()[2] - background[2]) > 0.1]
    assert (cell.get_x() + 0.5, cell.get_y() + 0.5) == (0, 1)
    assert len(alike_shown(result)) == 10
    off = replace(result, block_weights=tuple(replace(weights, values=(0.0,) * 20) for weights in result.block_weights))
    assert alike_shown(off) == [] and "likeness" not in figures_of(off)


def test_all_figures_are_those_that_there_is_room_for():
    result = shown()
    assert figures_of(result) == ["bars", "loss", "penalty path", "blocks", "likeness"]
    whole, low = (len(draw(result, ALL, "light", 8, height).axes) for height in (height_of(result, ALL), 10))
    assert (whole, low) == (2 + 1 + 2 + 2 + 1, 2 + 1 + 2)


@pytest.mark.parametrize("name", [name for name, kind in FIGURES.items() if kind.missing(result_of(("a",)))])
def test_a_figure_that_there_is_nothing_for_says_what_to_do(name):
    with pytest.raises(ValueError, match="[Ss]earch"):
        draw(result_of(("a",)), name, "light", 6, 4)


def test_the_report_has_the_sentences_as_text():
    page = html_report(shown(("<b>cat</b>", "ink")), {}, {})
    assert "Which block does what" in page and "OUT05 (&lt;b&gt;cat&lt;/b&gt;) does harm" in page and "<b>cat" not in page

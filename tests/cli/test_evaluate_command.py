"""`python -m appl_search evaluate` on the demo's files."""

from __future__ import annotations

import pytest

from appl_search import BlockWeights, LoraSource, SearchResult
from appl_search.cli.evaluate import read_choice
from appl_search.cli.main import main
from tests.cli import shell
from tests.nodes.results import result_for

STYLE = shell.LORAS["style"]


def run(*choices: str, loras=("style",)) -> int:
    files = [str(shell.LORAS[name]) for name in loras]
    options = ["--comparison", "8", "--batch-size", "4", "--choice", *choices]
    return main(["evaluate", "--model", "demo", "--lora", *files, "--images", str(shell.IMAGES), *options])


def test_it_compares_numbers_strings_and_results(tmp_path, capsys):
    (tmp_path / "found.json").write_text(result_for((STYLE, {"IN05": 0.5})).to_json())
    string = BlockWeights.for_lora(LoraSource(STYLE), {"IN05": 0.5}).to_string("kohya")
    assert run("0.6", f"found={tmp_path / 'found.json'}", f"string={string}") == 0
    lines = capsys.readouterr().out.splitlines()
    loss = {line.split("  ")[0].strip(): line.split()[-4 if "±" in line else -1] for line in lines[2:6]}
    assert set(loss) == {"no LoRA", "0.6", "found", "string"} and lines[0].startswith("Lowest loss: ")
    assert loss["found"] == loss["string"] != loss["0.6"]


def test_a_choice_gives_each_lora_its_part():
    loras = [LoraSource(shell.LORAS[name]).loaded() for name in ("style", "character")]
    name, rates = read_choice("mine=0.5|0.25", loras)
    assert name == "mine" and max(rates[0]) == 0.5 and max(rates[1]) == 0.25
    assert read_choice("0.5", loras)[1][1] == [0.5 if there else 0.0 for there in BlockWeights.for_lora(loras[1], {}).present]


@pytest.mark.parametrize("choice, message", [("a=1|2|3", "it has 3 parts for 1 LoRAs"), ("a=no such thing", "--choice a=no such thing")])
def test_a_choice_that_cannot_be_read_is_quoted(choice, message):
    with pytest.raises(ValueError, match=message):
        read_choice(choice, [LoraSource(STYLE).loaded()])


def test_a_result_of_other_loras_is_refused(tmp_path):
    (tmp_path / "found.json").write_text(result_for((shell.LORAS["character"], {})).to_json())
    assert SearchResult.from_json((tmp_path / "found.json").read_text())
    with pytest.raises(ValueError, match="that --lora does not name"):
        read_choice(f"{tmp_path / 'found.json'}", [LoraSource(STYLE).loaded()])

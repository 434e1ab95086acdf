"""`python -m appl_search search` on the demo's files."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from appl_search import BlockWeights, LoraSource, SearchResult, SearchSettings, TrainingSet, read_training_set, search
from appl_search.cli.main import main
from appl_search.demo import load_tiny_sdxl
from tests import other_process
from tests.cli import shell

ROOT = Path(__file__).resolve().parents[2]


def found(folder: Path, name: str = "found") -> SearchResult:
    return SearchResult.from_json((folder / f"{name}.json").read_text(encoding="utf-8"))


def same(one: SearchResult, other: SearchResult) -> bool:
    return [weights.values for weights in one.block_weights] == [weights.values for weights in other.block_weights]


def test_it_finds_what_the_function_finds_and_writes_everything(tmp_path, capsys):
    assert shell.search(tmp_path, "--bake", "--comparison", "4") == 0
    settings = SearchSettings(samples=4, batch_size=2, comparison=4, check_gradient=False)
    source = LoraSource(shell.LORAS["style"])
    expected = search(*load_tiny_sdxl(), [source], read_training_set(shell.IMAGES), settings)
    result = found(tmp_path)
    assert same(result, expected) and result.settings == settings
    endings = ("json", "txt", "safetensors", "png", "html", "csv", "jsonl")
    assert {path.name for path in tmp_path.iterdir() if path.is_file()} == {f"found.{e}" for e in endings} | {"found_style.safetensors"}
    assert result.block_weights[0].to_string("inspire") in (tmp_path / "found.txt").read_text()
    assert "found.html" in capsys.readouterr().out
    assert not list((tmp_path / "unfinished").glob("*"))


def test_logs_have_a_row_for_each_step_with_the_rates(tmp_path):
    shell.search(tmp_path)
    rows = [json.loads(line) for line in (tmp_path / "found.jsonl").read_text().splitlines()]
    with open(tmp_path / "found.csv", newline="") as file:
        table = list(csv.DictReader(file))
    history = found(tmp_path).history
    assert [row["samples"] for row in rows] == [2, 4] and [float(row["loss"]) for row in table] == [row["loss"] for row in rows]
    torch.testing.assert_close(torch.tensor([row["loss"] for row in rows]), history.loss)
    blocks = found(tmp_path).block_weights[0].blocks
    torch.testing.assert_close(rows[-1]["style/IN05"], float(history.block_weights[-1, 0, blocks.index("IN05")]))
    assert "style/BASE" not in rows[0]  # the LoRA has no such keys


def test_the_scripts_own_file_is_written_and_read_back(tmp_path, capsys):
    shell.search(tmp_path, "--lora", *shell.LORAS.values())
    path, result = tmp_path / "found.safetensors", found(tmp_path)
    (name,) = saved = load_file(path)
    assert name == "weights" and saved[name].shape == (40,) and saved[name].dtype == torch.float32
    expected = [rate for weights in result.block_weights for rate in weights.values]
    torch.testing.assert_close(saved[name], torch.tensor(expected))
    capsys.readouterr()
    assert main(["convert", str(shell.LORAS["style"]), f"@{path}", "--to", "plain", "--digits", "6"]) == 0
    position = [weights.name for weights in result.block_weights].index("style")
    in_file = replace(result.block_weights[position], values=tuple(saved[name].reshape(-1, 20)[position].tolist()))
    assert capsys.readouterr().out.strip() == in_file.to_string("plain", 6)


def test_pictures_of_each_line_of_a_prompt_file(tmp_path):
    prompts = tmp_path / "prompts.txt"
    prompts.write_text("# two of them\na zibby --w 64 --h 96 --s 2 --n blurred\n\na house --d 7\n", encoding="utf-8")
    size = ["--preview-width", 64, "--preview-height", 64, "--preview-steps", 1, "--preview-every", 4]
    assert shell.search(tmp_path, "--preview-prompts", prompts, *size) == 0
    pictures = {path.name: Image.open(path).size for path in sorted(tmp_path.glob("*_preview_*.png"))}
    assert pictures == {
        "found_preview_0_00000.png": (64, 96), "found_preview_0_00004.png": (64, 96),
        "found_preview_1_00000.png": (64, 64), "found_preview_1_00004.png": (64, 64),
    }  # fmt: skip


def test_a_lora_that_is_only_applied_is_on_the_model_and_not_searched(tmp_path):
    assert shell.search(tmp_path / "without") == 0
    assert shell.search(tmp_path / "with", "--base_weights", shell.LORAS["character"], "--base_weights_multiplier", "0.75") == 0
    assert [weights.name for weights in found(tmp_path / "with").block_weights] == ["style"]
    from appl_search.host.lora_loading import load
    from appl_search.host.lora_patches import apply
    from appl_search.loras.layout import read_layout

    model, clip, vae = load_tiny_sdxl()
    character = LoraSource(shell.LORAS["character"])
    at_strength = BlockWeights(read_layout(character), (0.75,) * 20)
    model, clip = apply(model, clip, load(character, model, clip), at_strength)
    settings = SearchSettings(samples=4, batch_size=2, check_gradient=False)
    expected = search(model, clip, vae, [LoraSource(shell.LORAS["style"])], read_training_set(shell.IMAGES), settings)
    assert same(found(tmp_path / "with"), expected) and not same(found(tmp_path / "without"), expected)


def test_options_come_from_a_file_and_the_command_line_counts_more(tmp_path):
    config = tmp_path / "config.toml"
    config.write_text('seed = 5\n[search]\npenalty = 0.5\ncheck_gradient = false\n[images]\nflip_aug = true\nfix = ["MID=0.25"]\n')
    assert shell.search(tmp_path, "--config", config, "--penalty", "0.125") == 0
    result = found(tmp_path)
    assert (result.settings.seed, result.settings.penalty) == (5, 0.125) and result.block_weights[0]["MID"] == 0.25


def test_a_dry_run_says_what_it_takes_and_writes_nothing(tmp_path, capsys):
    assert shell.search(tmp_path / "new", "--dry-run", "--rules", "IN = 0", short=["--samples", 100, "--batch-size", 2]) == 0
    out = capsys.readouterr().out
    assert "LoRAs: style (IN = 0)" in out and "10" in out and "in at most 50 steps of 2" in out and "s for a step" in out
    assert not (tmp_path / "new").exists()
    (memory,) = re.findall(r"Memory: at most .*?(\d+\.\d\d) GiB of main memory\n", out)
    assert 0.1 < float(memory) < psutil.virtual_memory().total / 2**30


def test_the_memory_said_is_the_most_there_was_and_not_what_is_left():
    program = """
import psutil
from appl_search.host import device
torch.ones(2**27, dtype=torch.int32).sum()  # half a GiB, and gone again
print(device.peak_memory()["of main memory"] - psutil.Process().memory_info().rss)
"""
    done = other_process.run([program])
    assert int(done.stdout) > 0.4 * 2**30, done.stderr


def test_ctrl_c_saves_and_the_same_command_goes_on_to_the_same_end(tmp_path, capsys, monkeypatch):
    short = ["--samples", 6, "--batch-size", 2, "--no-check-gradient"]
    assert shell.search(tmp_path / "whole", short=short) == 0
    with monkeypatch.context() as patch:
        shell.at_step(patch, 2, shell.ctrl_c)
        assert shell.search(tmp_path / "cut", short=short) == 130
    (state,) = (tmp_path / "cut" / "unfinished").iterdir()
    assert str(state) in capsys.readouterr().err
    assert (tmp_path / "cut" / "found.partial.json").exists() and not (tmp_path / "cut" / "found.json").exists()
    moved = state.rename(tmp_path / "state.safetensors")
    assert shell.search(tmp_path / "cut", "--resume", moved, short=short) == 0
    assert "note: the search goes on from 4 of 6 samples.\n" in capsys.readouterr().err
    assert same(found(tmp_path / "cut"), found(tmp_path / "whole"))
    logs = [(tmp_path / name / "found.jsonl").read_text().splitlines() for name in ("cut", "whole")]
    assert [json.loads(line)["loss"] for line in logs[0]] == [json.loads(line)["loss"] for line in logs[1]]


@pytest.mark.parametrize(
    "arguments, says",
    [
        (["--penalty", "-1"], "penalty is -1.0, expected"),
        (["--samples", "many"], "--samples"),
        (["--images", "nowhere"], "nowhere"),
        (["--lora", "nowhere.safetensors"], "nowhere.safetensors"),
        (["--fix", "MID"], "--fix MID: expected"),
        (["--fix", "IN99=1"], "IN99"),
        (["--base-strength", "0.5"], "1 numbers for 0 LoRAs"),
        (["--model", "nowhere.safetensors"], "no checkpoint nowhere.safetensors"),
        (["--resume", "nowhere.safetensors"], "nowhere.safetensors cannot be read"),
        (["--penalyt", "1"], "Did you mean --penalty?"),
        (["--preview-prompts", "nowhere.txt"], "nowhere.txt"),
        (["--config", "nowhere"], "nowhere.toml cannot be read"),
        (["--name", "a/b"], "--name is 'a/b'"),
        (["--max_train_steps", "2", "--max_train_epochs", "2"], "not allowed with"),
    ],
)
def test_bad_input_is_one_line_and_2(arguments, says, tmp_path, capsys):
    assert shell.search(tmp_path, *arguments) == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if not line.startswith("note: ")]
    assert line.startswith("error: ") and says in line


def test_what_was_found_is_not_overwritten_unless_it_may_be(tmp_path, capsys):
    (tmp_path / "found.json").write_text("precious")
    assert shell.search(tmp_path) == 2 and "--overwrite" in capsys.readouterr().err
    assert (tmp_path / "found.json").read_text() == "precious"
    assert shell.search(tmp_path, "--overwrite") == 0 and found(tmp_path)


def test_epochs_count_repeats_and_regularisation_pictures(tmp_path):
    pictures = ["--repeats", 2, "--max-epochs", 1, "--regularisation-images", shell.IMAGES, "--batch-size", 40]
    assert shell.search(tmp_path, *pictures, short=["--no-check-gradient"]) == 0
    some = read_training_set(shell.IMAGES)
    assert isinstance(some, TrainingSet) and found(tmp_path).settings.samples == 2 * 2 * len(some)


def test_in_a_process_of_its_own(tmp_path):
    command = [sys.executable, "-m", "appl_search", "search", "--model", "demo", "--lora", shell.LORAS["style"], "--images",
               shell.IMAGES, "--output", tmp_path, *shell.SHORT]  # fmt: skip
    done = subprocess.run(list(map(str, command)), cwd=ROOT, capture_output=True, text=True, timeout=120, env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stderr
    assert "\nMeasuring what was found.\n" in done.stderr
    assert "found.json" in done.stdout and "loss=" in done.stderr and found(tmp_path)


def test_no_file_that_the_search_reads_is_overwritten(tmp_path, capsys):
    lora = shutil.copy(shell.LORAS["style"], tmp_path / "style.safetensors")
    before = lora.read_bytes()
    given = ["--model", "demo", "--lora", lora, "--images", shell.IMAGES, "--output", tmp_path, *shell.SHORT, "--overwrite"]
    assert main(["search", *map(str, [*given, "--name", "style"])]) == 2
    assert "is a file that the search reads" in capsys.readouterr().err
    (tmp_path / "found_style.safetensors").write_bytes(before)
    assert main(["search", *map(str, given[:-1]), "--bake"]) == 2
    assert "found_style.safetensors exists already" in capsys.readouterr().err
    assert lora.read_bytes() == (tmp_path / "found_style.safetensors").read_bytes() == before


def test_loras_whose_names_become_the_same_are_baked_into_two_files(tmp_path):
    for name in ("x y", "x_y"):
        shutil.copy(shell.LORAS["style"], tmp_path / f"{name}.safetensors")
    loras = [tmp_path / "x y.safetensors", tmp_path / "x_y.safetensors"]
    given = ["--model", "demo", "--lora", *loras, "--images", shell.IMAGES, "--output", tmp_path / "out", *shell.SHORT, "--bake"]
    assert main(["search", *map(str, given)]) == 0
    assert {path.name for path in (tmp_path / "out").glob("found_*.safetensors")} == {"found_x_y.safetensors", "found_x_y_2.safetensors"}


def test_rules_are_for_all_loras_or_for_one_and_count_more_than_fixed_and_tied_rates(tmp_path):
    loras = ["--lora", shell.LORAS["style"], shell.LORAS["character"], "--fix", "MID=0.25", "--tie", "sections"]
    assert shell.search(tmp_path, *loras, "--rules", "IN00-IN02 = 0; OUT = search", "style: OUT08 = 0.75; OUT07 = start") == 0
    result = found(tmp_path)
    style, character = result.block_weights
    assert [rules.text() for rules in result.rules] == [
        "IN00-IN02 = 0; IN04-IN08 = same as IN03; MID = 0.25; OUT07 = 0.5; OUT08 = 0.75",
        "IN00-IN02 = 0; IN04-IN08 = same as IN03; MID = 0.25",
    ]
    assert (style["IN01"], style["OUT07"], style["OUT08"], character["MID"]) == (0.0, 0.5, 0.75, 0.25)
    assert style["OUT06"] != style["OUT05"] and character["IN04"] == character["IN05"] != 0.5


@pytest.mark.parametrize(
    "rules, expected",
    [
        ("IN00 = off", "'IN00 = off': 'off' is no rule. Expected search,"),
        ("stile: IN00 = 0", "there is no LoRA 'stile'. Expected one of style, or its number"),
    ],
)
def test_rules_that_cannot_be_read_are_named(tmp_path, capsys, rules, expected):
    assert shell.search(tmp_path, "--rules", rules) != 0
    assert expected in capsys.readouterr().err

"""The commands that need neither ComfyUI nor a GPU."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import load_file, save_file

from appl_search import BlockWeights, LoraSource
from appl_search.cli.main import main
from tests import oracle

RATES = {"IN07": 0.25, "MID": 0.0, "OUT03": -0.5}


@pytest.fixture
def weights() -> BlockWeights:
    return BlockWeights.for_lora(LoraSource(oracle.LORA_A), RATES)


def run(capsys, *arguments) -> tuple[int, str, str]:
    """(exit status, output, errors)."""
    status = main([str(argument) for argument in arguments])
    return status, *capsys.readouterr()


def test_convert_from_a_file_in_one_format_to_another(weights, tmp_path, capsys):
    (tmp_path / "weights.json").write_text(weights.to_string("json"), encoding="utf-8")
    status, out, _ = run(capsys, "convert", oracle.LORA_A, f"@{tmp_path / 'weights.json'}", "--to", "inspire")
    assert status == 0
    assert out.strip() == weights.to_string("inspire")


def test_convert_to_all_formats(weights, capsys):
    status, out, _ = run(capsys, "convert", oracle.LORA_A, weights.to_string("plain"))
    lines = dict(line.split(": ", 1) for line in out.splitlines() if ": " in line)
    assert status == 0 and lines["a1111"] == weights.to_string("a1111") and lines["inspire"] == weights.to_string("inspire")


def test_convert_warns_of_what_a_format_cannot_carry(tmp_path, capsys):
    tensors = {f"lora_unet_time_embed_0.{part}": torch.ones(4, 4) for part in ("lora_up.weight", "lora_down.weight")}
    save_file(tensors, tmp_path / "time.safetensors")
    status, _, err = run(capsys, "convert", tmp_path / "time.safetensors", ",".join(["0.5"] * 20), "--to", "a1111")
    assert status == 0 and "warning: BASE scales the text encoders only" in err


def test_bake_writes_the_scaled_factors_and_never_overwrites(weights, tmp_path, capsys):
    output = tmp_path / "baked.safetensors"
    command = ("bake", output, "--lora", oracle.LORA_A, weights.to_string("plain"))
    status, out, _ = run(capsys, *command)
    assert status == 0 and str(output) in out
    baked, before = load_file(output), load_file(oracle.LORA_A)
    ups = [key for key in before if "input_blocks_7" in key and key.endswith("lora_up.weight")]
    assert ups
    for key in ups:
        torch.testing.assert_close(baked[key].float(), 0.25 * before[key].float(), rtol=2e-3, atol=1e-6)
    assert not [key for key in baked if "middle_block" in key]
    status, _, err = run(capsys, *command)
    assert status == 2 and "exists already" in err


def test_bake_of_several_loras_to_a_rank_tells_what_is_lost(weights, tmp_path, capsys):
    output = tmp_path / "merged.safetensors"
    status, out, _ = run(
        capsys, "bake", output, "--lora", oracle.LORA_A, ",".join(["1"] * 20), "--lora", oracle.LORA_B, ",".join(["1"] * 20),
        "--rank", 2,
    )  # fmt: skip
    assert status == 0 and "of the norm is lost" in out
    assert max(tensor.shape[0] for key, tensor in load_file(output).items() if key.endswith("down.weight")) == 2


def test_apply_info_shows_each_block_and_those_that_are_not_there(weights, capsys):
    status, out, _ = run(capsys, "apply-info", oracle.LORA_A, weights.to_string("plain"))
    rows = {line.split()[0]: line.split()[1] for line in out.splitlines() if line.startswith("  ")}
    assert status == 0 and weights.layout.sha256 in out
    assert rows["IN07"] == "0.250" and rows["OUT03"] == "-0.500" and rows["IN00"] == "-"
    assert len(rows) == 20


@pytest.mark.parametrize(
    "arguments, message",
    [
        (("convert", "nowhere.safetensors", "1,2"), "nowhere.safetensors"),
        (("convert", oracle.LORA_A, "1,0.5,x"), "error:"),
        (("convert", oracle.LORA_A, "@nowhere.json"), "nowhere.json"),
        (("apply-info", oracle.LORA_A, "1,1"), "expected"),
    ],
)
def test_bad_input_says_what_is_wrong_and_gives_2(arguments, message, capsys):
    status, out, err = run(capsys, *arguments)
    assert status == 2 and out == ""
    assert err.startswith("error: ") and message.lower() in err.lower()

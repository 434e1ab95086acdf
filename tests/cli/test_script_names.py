"""The published script's own options: what they mean here is what they mean there, and the rest is refused by name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from appl_search import SearchSettings, TrainingOptions
from appl_search.cli.inputs import add_inputs
from appl_search.cli.main import main, parser
from appl_search.cli.options import given_settings
from appl_search.cli.parser import Parser
from appl_search.cli.script_names import in_our_words
from appl_search.cli.script_table import SCRIPT, Already, Changed, Refused, Renamed

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs" / "options.md"
#: What the script's own parsers list: train_network_appl_weights.py, and the SDXL trainer of 48d368fa (February 2026).
NAMES = json.loads((ROOT / "tests" / "data" / "script_options.json").read_text(encoding="utf-8"))
COMMAND = """
    --pretrained_model_name_or_path=sdxl.safetensors --network_module networks.lora networks.lora
    --network_weights a.safetensors b.safetensors --base_weights c.safetensors --base_weights_multiplier 0.5
    --train_data_dir pictures --in_json meta.json --resolution 1024,768 --enable_bucket --caption_extension .cap
    --application_loss_weight 1e-3 --optimizer_type AdamW --learning_rate 0.1 --lr_scheduler constant
    --max_train_steps 100 --train_batch_size 4 --min_snr_gamma 5 --seed 42 --mixed_precision bf16 --cache_latents
    --shuffle_caption --keep_tokens 1 --caption_dropout_rate 0.1 --max_token_length 225 --prior_loss_weight 0.5
    --output_dir out --output_name mine --save_model_as safetensors --sample_prompts p.txt --sample_sampler euler_a
""".split()


def search_options() -> list[str]:
    (commands,) = [action for action in parser()._actions if action.choices]
    return commands.choices["search"].options


def read(arguments):
    made = parser()
    return made.parse_args(["search", *arguments])


def test_a_command_line_of_the_script_is_understood():
    options = read(COMMAND)
    assert (options.model, options.dtype, options.name) == ("sdxl.safetensors", "bf16", "mine")
    assert [path.name for path in options.lora] == ["a.safetensors", "b.safetensors"]
    assert ([path.name for path in options.base_lora], options.base_strength) == (["c.safetensors"], [0.5])
    assert (options.images.name, options.metadata.name, options.output.name) == ("pictures", "meta.json", "out")
    assert (options.max_steps, options.caption_extension, options.preview_prompts.name) == (100, [".cap"], "p.txt")
    assert options.preview_sampler == "euler_ancestral"
    assert given_settings(options, SearchSettings) == SearchSettings(
        penalty=1e-3, method="adamw", learning_rate=0.1, lr_schedule="constant", batch_size=4, min_snr_gamma=5.0, seed=42
    )
    assert given_settings(options, TrainingOptions) == TrainingOptions(
        width=1024, height=768, buckets=True, smallest=256, largest=1024, shuffle=True, keep_tokens=1, dropout=0.1,
        max_tokens=225, prior_weight=0.5,
    )  # fmt: skip


def test_a_resolution_alone_makes_no_buckets_and_limits_are_kept_wherever_they_stand():
    given = ["--model", "a", "--lora", "b", "--images", "c", "--max_bucket_reso", "1536", "--resolution", "512"]
    options = given_settings(read(given), TrainingOptions)
    assert (options.width, options.height, options.buckets, options.largest) == (512, 512, False, 1536)


@pytest.mark.parametrize("name", [name for name, meaning in SCRIPT.items() if isinstance(meaning, Refused)])
def test_what_has_no_meaning_is_refused_by_name_with_what_to_do(name, capsys):
    assert main(["search", f"--{name}", "1"]) == 2
    said = capsys.readouterr().err
    assert said == f"error: --{name} has no meaning here. {SCRIPT[name].instead}\n" and len(said) > len(name) + 40


@pytest.mark.parametrize(
    "option, says",
    [
        ("--optimizer_type Prodigy", "--optimizer_type Prodigy has no meaning for a search. Expected adamw"),
        ("--lr_scheduler polynomial", "Expected constant, cosine"),
        ("--network_module lycoris.kohya", "Expected networks.lora"),
        ("--save_model_as ckpt", "Expected safetensors"),
        ("--resolution large", "expected 1024 or 1024,1024"),
    ],
)
def test_a_value_without_a_meaning_is_refused(option, says, capsys):
    assert main(["search", *option.split()]) == 2
    assert says in capsys.readouterr().err


def test_the_table_names_options_that_there_are_and_none_that_has_its_own_name():
    ours = search_options()
    for name, meaning in SCRIPT.items():
        assert f"--{name.replace('_', '-')}" not in ours, f"{name} has a setting of its own name now: take it from the table"
        if isinstance(meaning, Renamed):
            assert f"--{meaning.ours}" in ours
        elif isinstance(meaning, Changed):
            assert set(meaning.ours.split()) & set(ours)


def test_switches_can_be_switched_off_in_a_file():
    assert in_our_words(["--no-enable_bucket", "--no-lowram", "--no-cache_latents"], ["--buckets"]) == ["--no-buckets"]
    assert in_our_words(["--no_half_vae"], ["--fp32-vae"]) == ["--fp32-vae"]


@pytest.mark.parametrize("name", NAMES["options"] + NAMES["options of later versions"])
def test_every_option_of_the_scripts_parsers_is_understood_or_refused_with_a_sentence(name):
    own = {each.removeprefix("--").replace("-", "_") for each in search_options()}
    assert name in SCRIPT or name in own, f"--{name} would be called unknown"


def test_every_option_of_the_script_is_in_the_documentation():
    rows = {}
    for line in DOCS.read_text(encoding="utf-8").splitlines():
        if line.startswith("| `--"):
            theirs, ours = (cell.strip() for cell in line.split("|")[1:3])
            rows[theirs.strip("`").removeprefix("--")] = ours
            test = line.split("|")[4].strip()
            assert not test.startswith("tests/") or (ROOT / test).exists(), test
    own = {name.removeprefix("--").replace("-", "_") for name in search_options()}
    for name, meaning in SCRIPT.items():
        assert name in rows, f"docs/options.md has no row for --{name}"
        if isinstance(meaning, Renamed):
            assert f"--{meaning.ours}" in rows[name], name
        elif isinstance(meaning, (Refused, Already)):
            assert "`--" not in rows[name], name
    assert [name for name in rows if name not in SCRIPT and name not in own] == []
    assert [name for name in NAMES["options"] + NAMES["options of later versions"] if name not in rows] == []


def test_masks_and_held_out_images_have_the_later_scripts_names():
    given = "--model a --lora b --images c --masked_loss --conditioning_data_dir masks --enable_wildcard --validation_split 0.25 --network_dim 32"
    options = read(given.split())
    assert (options.masks.name, options.wildcards, options.held_out, options.alpha) == ("masks", True, 0.25, "white")
    assert read([*given.split(), "--alpha_mask"]).alpha == "mask"


def test_every_input_is_an_option_of_a_parser_of_its_own():
    made = Parser()
    add_inputs(made)
    assert {"--model", "--lora", "--images", "--samples", "--flip", "--preview-every"} <= set(made.options)

"""SD 1.5 beside SDXL: the same search, blocks and strings for a model with 26 blocks and one text encoder."""

from __future__ import annotations

import json
import re
import sys

import pytest
import torch
from safetensors.torch import save_file

from appl_search import (
    BlockWeights,
    LoraError,
    LoraSource,
    Models,
    SearchResult,
    SearchSettings,
    Task,
    TrainingSet,
    search,
)
from appl_search.architectures.sd15 import SD15
from appl_search.architectures.sdxl import SDXL
from appl_search.demo import load_tiny_sdxl
from appl_search.gradients.draws import Draws
from appl_search.gradients.evaluator import opened
from appl_search.host.lora_loading import load
from appl_search.host.lora_patches import apply
from appl_search.loras.layout import read_layout
from appl_search.report.figures import draw
from appl_search.report.html import html_report
from appl_search.weights.bake import bake
from appl_search.weights.fields import Fields
from appl_search.weights.formats import FORMATS, parse, write
from tests import oracle, pack, sd15
from tests.nodes.patched import patched_weights, stock

ATTENTION = [f"input_blocks.{i}" for i in (1, 2, 4, 5, 7, 8)] + ["middle_block.1"] + [f"output_blocks.{i}" for i in range(3, 12)]
SEVENTEEN = ["BASE", "IN01", "IN02", "IN04", "IN05", "IN07", "IN08", "MID", *(f"OUT{i:02}" for i in range(3, 12))]
RATES = tuple(round(0.05 * i - 0.2, 2) for i in range(26))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("sd15")


@pytest.fixture(scope="module")
def model():
    return sd15.model()


@pytest.fixture(scope="module")
def clip(folder):
    return sd15.clip(folder)


@pytest.fixture(scope="module")
def source(folder, model, clip) -> LoraSource:
    """Of all layers, convolutions and text encoder too."""
    return sd15.lora(folder, model, clip)


@pytest.fixture(scope="module")
def found(model, clip, source) -> SearchResult:
    return search(model, clip, None, [LoraSource(source.path, fixed={"BASE": 0.5})], sd15.training_set(clip), SearchSettings(samples=16, batch_size=4, comparison=4))


# Keys


def test_every_name_of_a_key_is_in_the_group_of_the_key(model, clip):
    import comfy.lora

    names = comfy.lora.model_lora_keys_clip(clip.cond_stage_model, comfy.lora.model_lora_keys_unet(model.model, {}))
    there = {*model.model.state_dict(), *clip.cond_stage_model.state_dict()}
    names = {name: key for name, key in names.items() if key in there}
    assert {name: key for name, key in names.items() if SD15.group_of_key(name) != SD15.group_of_key(key)} == {}
    for key in names.values():
        if match := re.match(r"diffusion_model\.((?:input|output)_blocks|middle_block)\.(\d+)\.", key):
            assert SD15.group_of_key(key) == f"{match[1]}.{match[2]}"
        else:
            assert SD15.group_of_key(key) == ("unet_other" if key.startswith("diffusion_model.") else "text_encoders"), key
    assert {SD15.block_of_key(key) for key in names.values()} == set(range(26))


def test_the_blocks_are_those_of_a1111s_full_list():
    assert ",".join(SD15.blocks) == ",".join(["BASE", *(f"IN{i:02}" for i in range(12)), "MID", *(f"OUT{i:02}" for i in range(12))])
    assert [block for section in SD15.sections for block in section.blocks] == list(range(26))
    assert len(SD15.about) == 26 and len(SDXL.about) == 20


@pytest.mark.parametrize(
    "key", ["lora_unet_output_blocks_0_1_proj_in", "lora_te2_text_model_encoder_layers_0_mlp_fc1", "unet.down_blocks.3.attentions.0.proj_in",
            "lora_unet_up_blocks_0_attentions_0_proj_in", "lora_unet_mid_block_attentions_0_transformer_blocks_1_attn1_to_q",
            "lora_unet_input_blocks_12_0_op", "lora_unet_down_blocks_4_resnets_0_conv1", "diffusion_model.label_emb.0.0.weight"],
)  # fmt: skip
def test_keys_of_other_models_have_no_block(key):
    assert SD15.group_of_key(key) is None


@pytest.mark.parametrize("blocks", [(), ATTENTION, ["output_blocks.9"], ["input_blocks.1"], ["output_blocks.10", "output_blocks.11"]])
def test_a_lora_file_says_which_architecture_it_is_for(folder, model, blocks):
    layout = read_layout(sd15.lora(folder, model, blocks=blocks, name="some"))
    assert layout.architecture == SD15
    groups = set(layout.groups)
    assert groups == set(blocks) if blocks else len(groups) == 12 + 3 + 12
    assert read_layout(LoraSource(oracle.LORA_A)).architecture == read_layout(LoraSource(oracle.LORA_B)).architecture == SDXL


# Searching


@pytest.mark.parametrize("block", ["BASE", "IN00", "IN01", "IN09", "OUT00", "OUT09"])
def test_gradients_equal_finite_differences_through_the_whole_model(evaluator, block):
    draws = Draws(evaluator.shapes, 3, 3, seed=0).current()
    rates, step = torch.full((1, 26), 0.5, dtype=torch.float64), torch.zeros(1, 26, dtype=torch.float64)
    step[0, SD15.block_index(block)] = 0.01
    above, below = (evaluator.losses(draws, rates + sign * step) for sign in (1, -1))
    gradient = evaluator.gradients(draws, rates).gradients[:, SD15.block_index(block)]
    torch.testing.assert_close(gradient, (above - below) / 0.02, rtol=0.02, atol=2e-5)
    assert gradient.abs().max() > 5e-5


@pytest.fixture(scope="module")
def evaluator(model, clip, source):
    settings = SearchSettings(samples=3, batch_size=3)
    pictures = torch.rand(3, 64, 64, 3, generator=torch.Generator().manual_seed(1))
    images = TrainingSet.from_images(pictures, ["red", "a blue thing", "red"])
    models = Models(model=model, clip=clip, vae=load_tiny_sdxl()[2])
    with opened(Task(models=models, loras=[source], images=images, settings=settings)) as evaluator:
        yield evaluator


def test_a_search_finds_26_rates_and_its_result_survives_json(found):
    (weights,) = found.block_weights
    assert weights.layout.architecture == SD15 and len(weights.values) == 26 and all(weights.present)
    assert tuple(found.history.block_weights.shape) == (5, 1, 26)
    assert weights["BASE"] == 0.5 and weights["OUT11"] != 0.5
    again = SearchResult.from_json(found.to_json())
    assert again.block_weights[0].layout == weights.layout
    assert again.to_json() == found.to_json()
    assert again.penalty_path.best_single() == found.penalty_path.best_single()
    assert len(again.at_penalty(1e-3).block_weights[0].values) == 26


def test_the_models_are_left_as_they_were(model, clip, source, found):
    assert not model.patches and not clip.patcher.patches


def test_ones_are_the_stock_loader_and_zeros_are_nothing(model, source):
    ones, _ = apply(model, None, load(source, model, None), BlockWeights.for_lora(source, {}))
    expected, got = patched_weights(stock(model, source.path, 1.0)), patched_weights(ones)
    assert expected.keys() == got.keys() and all(torch.equal(got[key], expected[key]) for key in got)
    assert not apply(model, None, load(source, model, None), BlockWeights.for_lora(source, (0.0,) * 26))[0].patches


def test_each_key_gets_the_rate_of_its_block(model, clip, source):
    applied, text = apply(model, clip, load(source, model, clip), BlockWeights.for_lora(source, RATES))
    for key, ((strength, *_),) in {**applied.patches, **text.patcher.patches}.items():
        match = re.match(r"diffusion_model\.(input|middle|output)_blocks?\.(\d+)\.", key)
        block = 0 if match is None else {"input": 1, "middle": 13, "output": 14}[match[1]] + (0 if match[1] == "middle" else int(match[2]))
        assert strength == RATES[block], key


def test_a_baked_file_gives_at_strength_one_what_the_block_weights_give(model, source, tmp_path):
    weights = BlockWeights.for_lora(source, RATES)
    bake(source, weights).save(tmp_path / "baked.safetensors")
    expected = patched_weights(apply(model, None, load(source, model, None), weights)[0])
    got, plain = patched_weights(stock(model, tmp_path / "baked.safetensors", 1.0)), model.model.state_dict()
    assert got.keys() == expected.keys()
    for key, weight in got.items():
        assert (weight - expected[key]).norm() < 1e-3 * (expected[key] - plain[key]).norm(), key


# What does not fit


def test_a_lora_for_sdxl_on_sd_1_5_is_refused(model):
    with pytest.raises(LoraError, match=r"lora_a.safetensors is for SDXL, and the MODEL is SD 1.5. Load a checkpoint of SDXL, or choose"):
        load(LoraSource(oracle.LORA_A), model, None)


def test_a_lora_for_sd_1_5_on_sdxl_is_refused(source):
    with pytest.raises(LoraError, match=r"sd15.safetensors is for SD 1.5, and the MODEL is SDXL"):
        load(source, oracle.sdxl(), None)


def test_loras_for_different_models_are_not_searched_together(model, clip, source):
    with pytest.raises(LoraError, match="lora_a.safetensors is for SDXL, and the MODEL is SD 1.5"):
        search(model, clip, None, [source, LoraSource(oracle.LORA_A)], sd15.training_set(clip))


def test_a_lora_that_may_be_for_both_goes_with_either_model(folder, model):
    """Nothing in the names of these layers tells the models apart."""
    lora = sd15.lora(folder, model, blocks=["middle_block.0"], name="both")
    weights = BlockWeights.for_lora(lora, {"MID": 0.25})
    patched, _ = apply(model, None, load(lora, model, None), weights)
    assert {entries[0][0] for entries in patched.patches.values()} == {0.25}


def test_a_text_encoder_file_of_kohyas_trainer_is_told_by_its_name(tmp_path):
    for stem, expected in (("lora_te_text_model", SD15), ("lora_te1_text_model", SDXL)):
        path = tmp_path / f"{stem}.safetensors"
        save_file({f"{stem}_encoder_layers_0_mlp_fc1.{part}.weight": torch.zeros(1, 1) for part in ("lora_up", "lora_down")}, path)
        assert read_layout(LoraSource(path)).architecture == expected


# Strings


def layout_weights(folder, model, blocks=()) -> BlockWeights:
    return BlockWeights.for_lora(sd15.lora(folder, model, blocks=blocks, name="some"), RATES)


def test_a1111_gets_17_numbers_of_an_attention_lora_and_26_of_all_blocks(folder, model):
    attention = layout_weights(folder, model, ATTENTION)
    assert write(attention, "a1111").split(",") == [f"{attention[block]:g}" for block in SEVENTEEN]
    assert write(attention, "a1111-tag") == f"<lora:some:1:lbw={write(attention, 'a1111')}>"
    everything = layout_weights(folder, model)
    assert write(everything, "a1111") == write(everything, "plain") == write(everything, "forge-neo")
    assert write(everything, "plain").count(",") == 25


def test_inspires_vector_has_a_number_for_each_position(folder, model):
    attention = layout_weights(folder, model, ATTENTION)
    assert write(attention, "inspire") == write(attention, "a1111"), "a1111's 17 blocks are those with attention"
    everything = layout_weights(folder, model)
    assert write(everything, "inspire").count(",") + 1 == 1 + 12 + 3 + 12


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("blocks", [(), ATTENTION, ["output_blocks.9", "output_blocks.10"]])
def test_every_format_is_read_back(folder, model, name, blocks):
    weights = layout_weights(folder, model, blocks)
    text = write(weights, name)
    assert FORMATS[name].parse(text, weights.layout).values == weights.values
    if FORMATS[name].matches(text, weights.layout):
        assert parse(text, LoraSource(folder / "some.safetensors")).values == weights.values


def test_numbers_of_a_list_for_the_other_model_say_so(folder, model):
    weights = layout_weights(folder, model, ATTENTION)
    with pytest.raises(ValueError, match="has 20 values, and that is SDXL, but this LoRA is for SD 1.5. Expected 26 values"):
        FORMATS["a1111"].parse(",".join(["1"] * 20), weights.layout)
    with pytest.raises(ValueError, match="the JSON is for 'sd15', and this LoRA is for SDXL"):
        FORMATS["json"].parse(write(weights, "json"), read_layout(LoraSource(oracle.LORA_A)))
    assert FORMATS["kohya"].warnings(weights) == ["That program is for SDXL only: it prints no such line for SD 1.5."]


# The page and the pictures


def test_the_panel_is_told_the_26_blocks(found):
    pack.load_pack()
    panel_state = sys.modules[f"{pack.NAME}.nodes.panel.state"]
    state = json.loads(json.dumps(panel_state.of_result(found, "a.json"), allow_nan=False))
    assert state["blocks"] == list(SD15.blocks) and len(state["about"]) == 26
    assert [(section["name"], section["first"], section["count"]) for section in state["sections"]] == [
        ("BASE", 0, 1), ("IN", 1, 12), ("MID", 13, 1), ("OUT", 14, 12),
    ]  # fmt: skip
    (lora,) = state["loras"]
    assert len(lora["keys"]) == len(lora["rates"]) == len(lora["errors"]) == 26 and min(lora["keys"]) > 0
    asked = {key: lora[key] for key in ("name", "sha256", "architecture", "groups", "rates", "errors")}
    assert panel_state.strings_of([Fields(asked)])[0]["plain"]["text"].count(",") == 25


def test_figures_and_report_show_the_26_blocks(found):
    axes = draw(found, "bars", "light", 8, 3).axes[0]
    assert len(axes.get_xticks()) == 26
    assert [text.get_text() for text in axes.get_xticklabels()][12:15] == ["11", "", "0"]
    page = html_report(found, {}, {})
    assert all(f"<th>{block}</th>" in page for block in SD15.blocks)


def test_a_file_of_an_older_pack_says_nothing_of_an_architecture_and_this_one_does(found):
    assert json.loads(found.to_json())["loras"][0]["architecture"] == "sd15"
    assert "architecture" not in BlockWeights.for_lora(LoraSource(oracle.LORA_A), {}).to_dict()

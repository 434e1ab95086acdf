"""LORA_STACK in and out, in the form that Efficiency Nodes and LoRA Manager pass it on."""

from __future__ import annotations

import os

import pytest

from appl_search import LoraError, LoraSource
from appl_search.architectures.sdxl import SDXL
from appl_search.demo import load_tiny_sdxl, lora_paths
from appl_search.host.learnable import split_learnable
from tests import oracle
from tests.nodes.patched import assert_same_weights, stock
from tests.nodes.results import result_for

#: As LoRA Stacker of Efficiency Nodes gives it, with "None" as older versions leave it in.
STACK = [("a.safetensors", 0.8, 0.8), ("None", 1.0, 1.0), (os.path.join("sub", "b.safetensors"), -0.25, 0.5)]


def loaded(node, model, stack, clip=None, **more):
    out = node("ApplSearchLoadStack").load(model, stack, clip, **more)
    return out["result"], out["ui"]


def test_until_the_search_the_stack_acts_as_comfyuis_loaders_make_it_act(node, folders, model):
    (out, clip), shown = loaded(node, model, STACK)
    assert clip is None and not model.patches
    assert_same_weights(out, stock(stock(model, oracle.LORA_A, 0.8), oracle.LORA_B, -0.25))
    assert shown["text"] == ["a.safetensors: 0.8, text encoders 0.8", f"{STACK[2][0]}: -0.25, text encoders 0.5"]


def test_text_encoders_start_at_their_own_strength(node, folders):
    import comfy.sd
    import comfy.utils

    model, clip, _ = load_tiny_sdxl()
    (out, new_clip), _ = loaded(node, model, [("[demo] character", 0.75, 0.25)], clip)
    file = comfy.utils.load_torch_file(str(lora_paths()["character"]))
    expected, expected_clip = comfy.sd.load_lora_for_models(model, clip, file, 0.75, 0.25)
    assert_same_weights(new_clip.patcher, expected_clip.patcher)
    in_blocks = {key for key in expected.patches if SDXL.block_of_key(key)}
    assert {key: [entry[0] for entry in out.patches[key]] for key in in_blocks} == {key: [0.75] for key in in_blocks}


def test_a_search_starts_at_the_strengths_of_the_stack_and_keeps_to_the_rules(node, folders, model):
    (out, _), _ = loaded(node, model, STACK, block_rules="MID = start; IN = 0")
    _, _, (first, second) = split_learnable(out, None)
    assert (first.name, second.name) == ("a", "b")
    assert set(first.start.values()) == {0.8} and set(second.start.values()) == {-0.25}
    assert (first.fixed["MID"], second.fixed["MID"], second.fixed["IN04"]) == (0.8, -0.25, 0.0)


def test_names_with_the_slashes_of_another_system_are_found(node, folders, model):
    (out, _), _ = loaded(node, model, [["sub\\b.safetensors", 1, 1]])
    assert_same_weights(out, stock(model, oracle.LORA_B, 1.0))


@pytest.mark.parametrize(
    "stack, expected",
    [
        ([], "The LORA_STACK is empty. Choose at least one LoRA"),
        ([("None", 1.0, 1.0)], "The LORA_STACK is empty"),
        (None, "The LORA_STACK is a NoneType, expected a list of LoRAs"),
        ([("a.safetensors", 1.0)], r"LoRA 1 of the LORA_STACK is \('a.safetensors', 1.0\), expected a file's name and two strengths"),
        ([STACK[0], ("a.safetensors", "strong", 1.0)], "LoRA 2 of the LORA_STACK"),
        ([(1, 1.0, 1.0)], "LoRA 1 of the LORA_STACK"),
        ([("a.safetensors", float("nan"), 1.0)], "LoRA 1 of the LORA_STACK"),
    ],
)
def test_what_is_no_stack_is_named(node, folders, model, stack, expected):
    with pytest.raises(ValueError, match=expected):
        loaded(node, model, stack)


def test_a_lora_that_is_gone_is_named(node, folders, model):
    with pytest.raises(LoraError, match="There is no LoRA 'gone.safetensors'"):
        loaded(node, model, [("gone.safetensors", 1.0, 1.0)])


def stacked(node, result, lora_stack=None):
    out = node("ApplSearchToStack").make(result, lora_stack)
    return out["result"][0], out["ui"]["warnings"]


def test_one_rate_for_all_blocks_goes_into_a_stack_and_acts_there_as_block_weights_do(node, folders, model):
    result = result_for((folders / "loras" / "sub" / "b.safetensors", dict.fromkeys(SDXL.blocks, 0.625)))
    stack, warnings = stacked(node, result)
    assert stack == [(os.path.join("sub", "b.safetensors"), 0.625, 0.625)] and not warnings
    applied, _ = node("ApplSearchApply").apply(model, stack[0][0], 1.0, 1.0, block_weights=result)["result"]
    assert_same_weights(stock(model, folders / "loras" / stack[0][0], stack[0][1]), applied)


def test_text_encoders_may_have_a_strength_of_their_own(node, folders):
    (folders / "loras" / "character.safetensors").write_bytes(lora_paths()["character"].read_bytes())
    rates = dict.fromkeys(SDXL.blocks, 0.5) | {"BASE": 0.25}
    stack, warnings = stacked(node, result_for((folders / "loras" / "character.safetensors", rates)))
    assert stack == [("character.safetensors", 0.5, 0.25)] and not warnings


def test_rates_that_differ_are_left_out_with_a_note_and_the_others_are_added_to_the_stack(node, folders):
    loras = folders / "loras"
    uneven, even = {"IN04": 0.25, "OUT02": 1.5}, dict.fromkeys(SDXL.blocks, 1.0)
    stack, warnings = stacked(node, result_for((loras / "a.safetensors", uneven), (loras / "sub" / "b.safetensors", even)), [STACK[0]])
    assert stack == [STACK[0], (os.path.join("sub", "b.safetensors"), 1.0, 1.0)]
    (warning,) = warnings
    assert warning.startswith("a: its rates go from 0.25 (IN04) to 1.5 (OUT02), and a stack has one strength")
    assert "Save LoRA with Block Weights" in warning


def test_a_lora_of_the_demo_is_left_out_with_a_note(node, folders):
    stack, warnings = stacked(node, result_for((lora_paths()["style"], {})))
    assert stack == [] and "comes with this pack and is in no loras folder" in warnings[0]


def test_what_goes_into_a_stack_can_be_loaded_from_it(node, folders, model):
    result = result_for((folders / "loras" / "a.safetensors", dict.fromkeys(SDXL.blocks, -0.5)))
    (out, _), _ = loaded(node, model, stacked(node, result)[0])
    _, _, (source,) = split_learnable(out, None)
    assert set(source.start.values()) == {-0.5} and source == LoraSource(folders / "loras" / "a.safetensors", start=source.start)

"""What of a file ComfyUI does not load or applies otherwise than meant: said in the node, and not counted as found."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import load_file, save_file

from appl_search import LoraError, LoraSource, SearchSettings, search
from appl_search.host.lora_loading import load
from appl_search.host.lora_patches import apply
from appl_search.loras.layout import read_layout
from appl_search.weights.block_weights import BlockWeights
from tests import adapters, oracle
from tests.nodes.patched import assert_same_weights, stock

LINEAR = f"lora_unet_{adapters.LINEAR}"
#: A layer that SDXL has and the oracle's tiny one has not.
DEEP = "lora_unet_input_blocks_8_1_transformer_blocks_9_attn2_to_k"


@pytest.fixture(scope="module")
def model():
    return oracle.sdxl()


def saved(folder, *more) -> LoraSource:
    tensors = adapters.tensors("lora", adapters.LINEAR)
    for part in more:
        tensors |= part
    save_file(tensors, folder / "x.safetensors")
    return LoraSource(folder / "x.safetensors")


def lora_parts(stem, out=64, rank=4, inner=64):
    return {f"{stem}.lora_up.weight": torch.ones(out, rank), f"{stem}.lora_down.weight": torch.ones(rank, inner)}


def test_a_block_of_which_nothing_was_loaded_is_not_present_and_gets_no_rate(model, tmp_path):
    source = saved(tmp_path, lora_parts(DEEP))
    lora = load(source, model, None)
    assert lora.layout.present.count(True) == 1
    assert lora.notes == (
        f"LoRA x: ComfyUI loads nothing from 2 of its 5 keys for this model; they have no effect, e.g. {DEEP}.lora_down.weight.",
    )
    result = search(model, None, None, [source], oracle.training_set(), SearchSettings(method="adamw", samples=2, batch_size=2))
    assert [name for name, _ in result.block_weights[0].items()] == ["OUT00"]


def test_the_bias_of_a_layer_without_one_is_not_counted(model, tmp_path):
    lora = load(saved(tmp_path, {f"{LINEAR}.diff_b": torch.ones(128)}), model, None)
    assert dict(lora.layout.groups) == {"output_blocks.0": 1} and "diff_b" in lora.notes[0]


def test_dora_of_peft_acts_as_a_plain_lora_and_it_is_said(model, tmp_path):
    source = saved(tmp_path, {f"{LINEAR}.lora_magnitude_vector.weight": torch.ones(128)})
    lora = load(source, model, None)
    assert "1 layers have a lora_magnitude_vector (DoRA of PEFT), which ComfyUI does not apply" in lora.notes[0]
    weights = BlockWeights.for_lora(source, {"OUT00": 0.7})
    assert_same_weights(apply(model, None, lora, weights)[0], stock(model, source.path, 0.7))


def test_dora_in_one_dimension_is_left_out_as_comfyui_leaves_it_out_and_it_is_said(model, tmp_path):
    other = "lora_unet_output_blocks_0_1_transformer_blocks_0_attn1_to_k"
    source = saved(tmp_path, {f"{LINEAR}.dora_scale": torch.ones(128)}, lora_parts(other, 128, 4, 128))
    lora = load(source, model, None)
    assert len(lora.patches) == 1 and lora.notes == (
        f"LoRA x: 1 layers have a dora_scale in one dimension, which ComfyUI cannot apply; they are left out, e.g. {LINEAR}.",
    )


def test_a_file_of_which_nothing_can_be_applied_is_refused(model, tmp_path):
    with pytest.raises(LoraError, match="none of its 4 keys can be applied. 1 layers have a dora_scale in one dimension"):
        load(saved(tmp_path, {f"{LINEAR}.dora_scale": torch.ones(128)}), model, None)


def test_keys_for_the_text_encoders_without_a_clip_are_said_and_stay_in_the_layout(model, tmp_path):
    source = saved(tmp_path, lora_parts("lora_te1_text_model_encoder_layers_0_mlp_fc1"))
    lora = load(source, model, None)
    assert lora.notes == ("LoRA x: 2 keys are for the text encoders; they act only with a CLIP connected.",)
    assert dict(lora.layout.groups) == dict(read_layout(source).groups) == {"output_blocks.0": 1, "text_encoders": 1}


def test_an_ordinary_file_has_no_notes(model):
    for path in (oracle.LORA_A, oracle.LORA_B):
        lora = load(LoraSource(path), model, None)
        assert lora.notes == () and lora.layout == read_layout(LoraSource(path))
        assert sum(len(part.parts) for part in lora.patches.values()) == len(load_file(path))

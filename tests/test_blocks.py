"""Which block a key belongs to, against ComfyUI's own list of SDXL's keys and their other names."""

import re

import pytest

from appl_search.architectures.sdxl import SDXL
from appl_search.host.embedded import prepare


@pytest.fixture(scope="module")
def key_map() -> dict[str, str]:
    """{name of a key in a LoRA file: key of the model}, ComfyUI's own for SDXL with all its layers and few channels."""
    prepare()
    import comfy.clip_model
    import comfy.lora
    import comfy.model_base
    import comfy.ops
    import comfy.supported_models
    import torch

    depths = {
        "transformer_depth": [0, 0, 2, 2, 10, 10],
        "transformer_depth_middle": 10,
        "transformer_depth_output": [0, 0, 0, 2, 2, 2, 10, 10, 10],
    }
    unet = {
        "image_size": 32, "in_channels": 4, "out_channels": 4, "model_channels": 32, "num_res_blocks": [2, 2, 2],
        "channel_mult": [1, 2, 4], "context_dim": 64, "num_head_channels": 64, "adm_in_channels": 64,
        "use_linear_in_transformer": True, "use_spatial_transformer": True, "legacy": False,
        "num_classes": "sequential", **depths,
    }  # fmt: skip
    model = comfy.model_base.SDXL(comfy.supported_models.SDXL(unet), device="meta")

    def text_encoder(layers: int) -> torch.nn.Module:
        config = {
            "num_hidden_layers": layers, "hidden_size": 64, "intermediate_size": 64, "num_attention_heads": 1,
            "hidden_act": "gelu", "max_position_embeddings": 77, "eos_token_id": 49407, "projection_dim": 64,
        }  # fmt: skip
        clip = comfy.clip_model.CLIPTextModel(config, torch.float32, "meta", comfy.ops.disable_weight_init)
        return torch.nn.ModuleDict({"transformer": clip})

    text_encoders = torch.nn.ModuleDict({"clip_l": text_encoder(12), "clip_g": text_encoder(32)})
    names = comfy.lora.model_lora_keys_clip(text_encoders, comfy.lora.model_lora_keys_unet(model, {}))
    there = {*model.state_dict(), *text_encoders.state_dict()}
    return {name: key for name, key in names.items() if key in there}  # unet_to_diffusers names two layers too many


def test_every_name_of_a_key_is_in_the_group_of_the_key(key_map):
    wrong = {name: key for name, key in key_map.items() if SDXL.group_of_key(name) != SDXL.group_of_key(key)}
    assert wrong == {}


def test_every_key_of_the_model_is_in_the_block_that_its_name_says(key_map):
    for key in key_map.values():
        group = SDXL.group_of_key(key)
        if match := re.match(r"diffusion_model\.((?:input|output)_blocks|middle_block)\.(\d+)\.", key):
            assert group == f"{match[1]}.{match[2]}"
        else:
            assert group == ("unet_other" if key.startswith("diffusion_model.") else "text_encoders"), key


def test_all_groups_and_blocks_of_sdxl_are_there(key_map):
    groups = {SDXL.group_of_key(key) for key in key_map.values()}
    assert len(groups) == 9 + 3 + 9 + 2
    assert {SDXL.block_of_group(group) for group in groups} == set(range(20))


def test_b_loras_blocks_are_the_first_two_of_the_output(key_map):
    """Its blocks are named in blora_utils.py of github.com/yardenfren1996/B-LoRA; ComfyUI's own map says which they are."""
    for part, blocks in (("up_blocks.0.attentions.0.", SDXL.content), ("up_blocks.0.attentions.1.", SDXL.style)):
        keys = {key for name, key in key_map.items() if name.startswith(f"unet.{part}") or name.startswith(part)}
        assert len(keys) > 20
        assert {SDXL.blocks[SDXL.block_of_key(key)] for key in keys} == set(blocks)


def test_the_order_is_that_of_the_published_search():
    assert ",".join(SDXL.blocks) == (
        "BASE,IN00,IN01,IN02,IN03,IN04,IN05,IN06,IN07,IN08,MID,OUT00,OUT01,OUT02,OUT03,OUT04,OUT05,OUT06,OUT07,OUT08"
    )
    assert [block for section in SDXL.sections for block in section.blocks] == list(range(20))


@pytest.mark.parametrize(
    "key, block",
    [
        ("lora_unet_input_blocks_0_0", "IN00"),
        ("lora_unet_input_blocks_4_1_transformer_blocks_0_attn1_to_q", "IN04"),
        ("unet.down_blocks.1.attentions.0.proj_in", "IN04"),
        ("lora_unet_down_blocks_0_downsamplers_0_conv", "IN03"),
        ("middle_block.2.in_layers.0", "MID"),
        ("unet.mid_block.attentions.0.proj_out", "MID"),
        ("lycoris_up_blocks_0_upsamplers_0_conv", "OUT02"),
        ("lora_unet_output_blocks_8_0_out_layers_3", "OUT08"),
        ("lora_unet_time_embed_0", "BASE"),
        ("diffusion_model.out.2.weight", "BASE"),
        ("lora_te2_text_model_encoder_layers_31_mlp_fc2", "BASE"),
    ],
)
def test_a_key_belongs_to_one_block(key, block):
    assert SDXL.blocks[SDXL.block_of_key(key)] == block


@pytest.mark.parametrize(
    "key",
    [
        "lora_unet_input_blocks_9_0_op",
        "output_blocks.11.0.in_layers.0",
        "middle_block.3.x",
        "lora_unet_double_blocks_0_img_attn_proj",
        "down_blocks.3.resnets.0.conv1",
        "down_blocks.2.downsamplers.0.conv",
        "lora_unet_up_blocks_2_upsamplers_0_conv",
        "first_stage_model.encoder.conv_in.weight",
        "",
    ],
)
def test_keys_of_other_models_have_no_block(key):
    assert SDXL.group_of_key(key) is None
    with pytest.raises(ValueError, match=f"Key {key!r} belongs to no SDXL block"):
        SDXL.block_of_key(key)


def test_block_names_are_read_in_either_case_and_others_refused():
    assert SDXL.block_index("in07") == 8
    with pytest.raises(ValueError, match="'IN09' is not an SDXL block. Expected one of BASE, IN00, "):
        SDXL.block_index("IN09")

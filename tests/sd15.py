"""A tiny SD 1.5 with random weights: ComfyUI's own SD 1.5 classes with few channels; and LoRAs for it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import comfy.lora
import comfy.model_base
import comfy.model_management
import comfy.model_patcher
import comfy.sd
import comfy.sd1_clip
import comfy.supported_models
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from appl_search import LoraSource, TrainingSet
from appl_search.demo import ASSETS
from appl_search.host.tiny_sdxl import TOKENIZER_FOLDER

WIDTH, LAYERS, RANK = 32, 2, 4
UNET_CONFIG = {
    "image_size": 32,
    "in_channels": 4,
    "out_channels": 4,
    "model_channels": 32,
    "num_res_blocks": [2, 2, 2, 2],
    "channel_mult": [1, 2, 4, 4],
    "transformer_depth": [1, 1, 1, 1, 1, 1, 0, 0],
    "transformer_depth_middle": 1,
    "transformer_depth_output": [1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0],
    "context_dim": WIDTH,
    "use_linear_in_transformer": False,
    "adm_in_channels": None,
    "use_temporal_attention": False,
    "use_spatial_transformer": True,
    "legacy": False,
}
TEXT_CONFIG = {
    "num_attention_heads": 2,
    "num_hidden_layers": LAYERS,
    "hidden_size": WIDTH,
    "intermediate_size": 2 * WIDTH,
    "hidden_act": "quick_gelu",
    "projection_dim": WIDTH,
    "max_position_embeddings": 77,
    "eos_token_id": 49407,
    "layer_norm_eps": 1e-5,
}


def model():
    """As a ComfyUI ModelPatcher, in fp32."""
    config = comfy.supported_models.SD15({**UNET_CONFIG, "dtype": torch.float32})
    made = comfy.model_base.BaseModel(config)
    _fill(made.diffusion_model, seed=15)
    return comfy.model_patcher.ModelPatcher(
        made, comfy.model_management.get_torch_device(), comfy.model_management.unet_offload_device()
    )


def clip(folder: Path) -> comfy.sd.CLIP:
    """As a ComfyUI CLIP with the demo's vocabulary; ``folder``: for a file that says how large it is."""
    config_file = folder / "text_encoder.json"
    config_file.write_text(json.dumps(TEXT_CONFIG), encoding="utf-8")
    tokenizer = partial(comfy.sd1_clip.SDTokenizer, tokenizer_path=str(ASSETS / TOKENIZER_FOLDER), embedding_size=WIDTH)
    encoder = partial(comfy.sd1_clip.SDClipModel, textmodel_json_config=str(config_file))
    made = comfy.sd.CLIP(
        SimpleNamespace(
            params={"clip_model": encoder},
            clip=comfy.sd1_clip.SD1ClipModel,
            tokenizer=partial(comfy.sd1_clip.SD1Tokenizer, tokenizer=tokenizer),
        )
    )
    _fill(made.cond_stage_model, seed=16)
    return made


def training_set(clip) -> TrainingSet:
    """Three latents with the conditioning that the CLIPTextEncode node makes of two words."""
    latents = torch.randn(3, 4, 8, 8, generator=torch.Generator().manual_seed(17))
    conditioning = []
    for caption in ("red", "blue", "red"):
        context, pooled = clip.encode_from_tokens(clip.tokenize(caption), return_pooled=True)
        conditioning.append([context.detach(), {"pooled_output": pooled.detach()}])
    return TrainingSet.from_latents({"samples": latents}, conditioning)


def lora(folder: Path, model, clip=None, blocks: Sequence[str] = (), name: str = "sd15", seed: int = 0) -> LoraSource:
    """A LoRA file for every linear layer and convolution that trainers for SD 1.5 adapt, by kohya's names of them.

    ``blocks``: parts of the U-Net ("input_blocks.1") that it has, all of them unless named; with ``clip`` also its layers.
    """
    generator, tensors = torch.Generator().manual_seed(seed), {}
    for stem, weight in adapted(model, clip, blocks):
        up, down = torch.randn(weight.shape[0], RANK, generator=generator), torch.randn(RANK, *weight.shape[1:], generator=generator)
        tensors[f"{stem}.lora_up.weight"] = (0.3 * up).view(*up.shape, *[1] * (weight.ndim - 2)).half()
        tensors[f"{stem}.lora_down.weight"] = (down / weight[0].numel() ** 0.5).half()
        tensors[f"{stem}.alpha"] = torch.tensor(float(RANK))
    path = folder / f"{name}.safetensors"
    save_file(tensors, path)
    return LoraSource(path)


def adapted(model, clip, blocks: Sequence[str]) -> list[tuple[str, Tensor]]:
    """(kohya's name, weight) of the layers, by ComfyUI's own map of names."""
    names = comfy.lora.model_lora_keys_unet(model.model, {})
    weights = dict(model.model.state_dict())
    if clip is not None:
        names = comfy.lora.model_lora_keys_clip(clip.cond_stage_model, names)
        weights |= clip.cond_stage_model.state_dict()
    found = {}
    for name, key in names.items():
        is_kohyas = name.startswith(("lora_unet_down_", "lora_unet_mid_", "lora_unet_up_", "lora_unet_conv_in", "lora_te_"))
        wanted = not blocks or any(f".{block}." in key for block in blocks) or name.startswith("lora_te_")
        if is_kohyas and wanted and key in weights and weights[key].ndim > 1:
            found[name] = weights[key]
    return sorted(found.items(), key=lambda each: each[0])  # the host builds its map from sets


def _fill(module: nn.Module, seed: int) -> None:
    """Random weights of a size that keeps activations near 1; ComfyUI leaves them as they come."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, weight in module.named_parameters():
            value = torch.randn(weight.shape, generator=generator)
            if weight.ndim > 1:
                weight.copy_(value / weight[0].numel() ** 0.5)
            else:
                weight.copy_(0.1 * value + (1 if "norm" in name and name.endswith("weight") else 0))

"""SDXLs with random weights and LoRAs to measure on: small on a CPU, full-size on a GPU."""

from __future__ import annotations

from pathlib import Path

import comfy.model_base
import comfy.model_management
import comfy.model_patcher
import comfy.supported_models
import torch
from safetensors.torch import save_file

SMALL = {
    "model_channels": 32, "context_dim": 64, "adm_in_channels": 1568, "transformer_depth": [0, 0, 1, 1, 1, 1],
    "transformer_depth_middle": 1, "transformer_depth_output": [0, 0, 0, 1, 1, 1, 1, 1, 1],
}  # fmt: skip
FULL = {
    "model_channels": 320, "context_dim": 2048, "adm_in_channels": 2816, "transformer_depth": [0, 0, 2, 2, 10, 10],
    "transformer_depth_middle": 10, "transformer_depth_output": [0, 0, 0, 2, 2, 2, 10, 10, 10],
}  # fmt: skip
COMMON = {
    "image_size": 32, "in_channels": 4, "out_channels": 4, "num_res_blocks": [2, 2, 2], "channel_mult": [1, 2, 4],
    "num_head_channels": 64, "num_classes": "sequential", "use_linear_in_transformer": True,
    "use_spatial_transformer": True, "legacy": False,
}  # fmt: skip


def sdxl(config: dict, dtype: torch.dtype, seed: int = 0):
    """A ModelPatcher with random weights of about the size that training leaves."""
    torch.manual_seed(seed)
    model = comfy.model_base.SDXL(comfy.supported_models.SDXL({**COMMON, **config, "dtype": dtype}))
    where = comfy.model_management.get_torch_device()
    model.diffusion_model.to(where)
    for name, weight in model.diffusion_model.named_parameters():
        if weight.ndim > 1:
            torch.nn.init.normal_(weight, std=weight[0].numel() ** -0.5)
        else:
            torch.nn.init.constant_(weight, float(name.endswith("weight")))
    return comfy.model_patcher.ModelPatcher(model, where, comfy.model_management.unet_offload_device())


def random_lora(patcher, path: Path, rank: int, convolutions: bool, seed: int) -> Path:
    """A LoRA file in kohya's format for the transformers of a model, and its convolutions if wanted."""
    generator = torch.Generator().manual_seed(seed)
    tensors = {}
    for name, module in patcher.model.diffusion_model.named_modules():
        wanted = isinstance(module, torch.nn.Linear) and ".transformer_blocks." in f".{name}."
        if wanted or (convolutions and isinstance(module, torch.nn.Conv2d) and "blocks" in name):
            stem, out = f"lora_unet_{name.replace('.', '_')}", module.weight.shape
            up_shape = (out[0], rank, *[1] * (len(out) - 2))
            for part, shape in (("up", up_shape), ("down", (rank, *out[1:]))):
                tensors[f"{stem}.lora_{part}.weight"] = (0.05 * torch.randn(shape, generator=generator)).half()
            tensors[f"{stem}.alpha"] = torch.tensor(float(rank))
    save_file(tensors, path)
    return path

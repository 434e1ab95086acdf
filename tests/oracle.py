"""Numbers from the published program (tests/data/oracle/README.md), and the tiny SDXL that they are for."""

from __future__ import annotations

import hashlib
import json
from functools import lru_cache
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

FOLDER = Path(__file__).parent / "data" / "oracle"
LORA_A, LORA_B = FOLDER / "lora_a.safetensors", FOLDER / "lora_b.safetensors"

UNET_CONFIG = {
    "image_size": 32,
    "in_channels": 4,
    "out_channels": 4,
    "model_channels": 32,
    "num_res_blocks": [2, 2, 2],
    "channel_mult": [1, 2, 4],
    "transformer_depth": [0, 0, 1, 1, 1, 1],
    "transformer_depth_middle": 1,
    "transformer_depth_output": [0, 0, 0, 1, 1, 1, 1, 1, 1],
    "context_dim": 64,
    "num_head_channels": 64,
    "adm_in_channels": 1568,
    "num_classes": "sequential",
    "use_linear_in_transformer": True,
    "use_spatial_transformer": True,
    "legacy": False,
}


def numbers(name: str) -> dict[str, Tensor]:
    return load_file(FOLDER / f"{name}.safetensors")


def _weights() -> dict[str, Tensor]:
    """The recipe of tests/data/oracle/README.md; its checksum is compared."""
    spec = json.loads((FOLDER / "unet_keys.json").read_text())
    generator = torch.Generator().manual_seed(20240204)
    digest, out = hashlib.sha256(), {}
    for key, shape in spec["keys"]:
        r = torch.randn(shape, generator=generator)
        norm = ".norm" in key or ".in_layers.0." in key or ".out_layers.0." in key or key.startswith("out.0.")
        if norm:
            value = 0.1 * r + (1 if key.endswith("weight") else 0)
        elif key.endswith("bias"):
            value = 0.02 * r
        else:
            halved = ("out_layers.3.weight", "to_out.0.weight", "ff.net.2.weight", "proj_out.weight")
            value = (0.5 if key.endswith(halved) else 1.0) * r / r[0].numel() ** 0.5
        half = value.to(torch.float16)
        digest.update(half.numpy().tobytes())
        out[key] = half.float()
    assert digest.hexdigest() == spec["sha256_of_all_fp16_bytes_in_order"], "the oracle's U-Net weights came out differently"
    return out


@lru_cache(maxsize=1)
def _state_dict() -> dict[str, Tensor]:
    return _weights()


def sdxl(
    dtype: torch.dtype = torch.float32, manual_cast_dtype: torch.dtype | None = None, state_dict=None, quant_config=None,
    unet_config=UNET_CONFIG, **sampling
):  # fmt: skip
    """The oracle's tiny SDXL as a ComfyUI ModelPatcher.

    ``manual_cast_dtype``: what it computes in when that is not ``dtype``. ``state_dict``, ``quant_config``: weights in
    another form, and what the host's model config says of them; with another ``unet_config`` those of another U-Net.
    ``sampling``: of the model config (beta schedule, zsnr).
    """
    import comfy.model_base
    import comfy.model_management
    import comfy.model_patcher
    import comfy.supported_models

    config = comfy.supported_models.SDXL({**unet_config, "dtype": dtype})
    config.manual_cast_dtype, config.quant_config = manual_cast_dtype, quant_config
    model_type = sampling.pop("model_type", comfy.model_base.ModelType.EPS)
    config.sampling_settings = {**config.sampling_settings, **sampling}
    model = comfy.model_base.SDXL(config, model_type)
    model.diffusion_model.load_state_dict(_state_dict() if state_dict is None else state_dict)
    if quant_config is None:
        model.diffusion_model.to(dtype)
    return comfy.model_patcher.ModelPatcher(
        model, comfy.model_management.get_torch_device(), comfy.model_management.unet_offload_device()
    )


def conditioning():
    """The oracle's one conditioning, as the nodes of ComfyUI would give it."""
    fixtures = numbers("fixtures")
    sizes = {"width": 1024, "height": 1024, "crop_w": 0, "crop_h": 0, "target_width": 1024, "target_height": 1024}
    return [[fixtures["ctx"][None], {"pooled_output": fixtures["pool"][None], **sizes}]]


def training_set():
    """The oracle's six latents with :func:`conditioning`."""
    from appl_search import TrainingSet

    return TrainingSet.from_latents({"samples": numbers("fixtures")["latents_raw"]}, conditioning())


def task(model, sources, settings, draws=None):
    """A search on a model and :func:`training_set`, without CLIP and VAE."""
    from appl_search import Models, Task

    return Task(models=Models(model=model), loras=sources, images=training_set(), settings=settings, draws=draws)


def recorded_draws():
    fixtures = numbers("fixtures")
    return zip(fixtures["img_idx"], fixtures["timesteps"], fixtures["noise"])

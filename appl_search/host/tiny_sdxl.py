"""A small SDXL: ComfyUI's own SDXL classes with few channels, and its file format.

`tiny_sdxl.safetensors` (fp16) holds the U-Net under `model.diffusion_model.`, both text encoders under `clip_l.` and
`clip_g.` (of the token embeddings only the rows in use) and the VAE under `vae.` (a TAESD with fewer channels). Its
metadata `config` is a `TinyConfig` in JSON. The folder `tokenizer` beside it holds the vocabulary and
`text_encoder.json`, the shape of the text encoders.
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor

from .embedded import prepare

prepare()

import comfy.model_management  # noqa: E402
import comfy.sd  # noqa: E402
import comfy.sd1_clip  # noqa: E402
import comfy.sdxl_clip  # noqa: E402
import comfy.supported_models  # noqa: E402

from . import compat  # noqa: E402

log = logging.getLogger("appl_search")

MODEL_FILE = "tiny_sdxl.safetensors"
TOKENIZER_FOLDER = "tokenizer"
TEXT_ENCODER_FILE = "text_encoder.json"
UNET_PREFIX = "model.diffusion_model."
VAE_PREFIX = "vae."
START_TOKEN, END_TOKEN = 49406, 49407
VOCABULARY_ROWS = 49408
_TAESD_WIDTH = 64
_SIZE_EMBEDDING = 6 * 256  # SDXL's six sizes, 256 values each


@dataclass(frozen=True)
class TinyConfig:
    """Shape of the model.

    depths: transformer blocks per layer at the second level, at the third level, and in the middle (SDXL: 2, 10, 10).
    text_width: hidden size of each of the two text encoders; the U-Net's context is twice as wide.
    """

    depths: tuple[int, int, int] = (1, 1, 1)
    model_channels: int = 32
    text_width: int = 32
    text_layers: int = 3

    def unet_config(self) -> dict[str, Any]:
        """The U-Net configuration in the form of `comfy.supported_models`."""
        second, third, middle = self.depths
        return {
            "image_size": 32,
            "in_channels": 4,
            "out_channels": 4,
            "model_channels": self.model_channels,
            "num_res_blocks": [2, 2, 2],
            "channel_mult": [1, 2, 4],
            "num_head_channels": 64,
            "transformer_depth": [0, 0, second, second, third, third],
            "transformer_depth_middle": middle,
            "transformer_depth_output": [0, 0, 0, second, second, second, third, third, third],
            "context_dim": 2 * self.text_width,
            "adm_in_channels": _SIZE_EMBEDDING + self.text_width,
            "use_linear_in_transformer": True,
            "use_spatial_transformer": True,
            "use_temporal_attention": False,
            "legacy": False,
            "num_classes": "sequential",
        }

    def text_encoder_config(self) -> dict[str, Any]:
        """The configuration of each text encoder in the form of `comfy.sd1_clip`."""
        return {
            "num_attention_heads": 2,
            "num_hidden_layers": self.text_layers,
            "hidden_size": self.text_width,
            "intermediate_size": 4 * self.text_width,
            "hidden_act": "quick_gelu",
            "projection_dim": self.text_width,
            "max_position_embeddings": 77,
            "eos_token_id": END_TOKEN,
            "layer_norm_eps": 1e-5,
        }


class TinyTokenizer(comfy.sdxl_clip.SDXLTokenizer):
    """ComfyUI's pair of SDXL tokenizers over the files in `folder`."""

    def __init__(
        self, folder: Path, width: int, embedding_directory: Any = None, tokenizer_data: dict | None = None
    ) -> None:
        make = partial(
            comfy.sd1_clip.SDTokenizer,
            tokenizer_path=str(folder),
            embedding_directory=embedding_directory,
            embedding_size=width,
            tokenizer_data=tokenizer_data or {},
        )
        self.clip_l = make(embedding_key="clip_l")
        self.clip_g = make(embedding_key="clip_g", pad_with_end=False)


class TinyTextEncoders(comfy.sdxl_clip.SDXLClipModel):
    """ComfyUI's pair of SDXL text encoders with the widths of `config_file`."""

    def __init__(
        self,
        config_file: Path,
        device: Any = "cpu",
        dtype: torch.dtype | None = None,
        model_options: dict | None = None,
    ) -> None:
        torch.nn.Module.__init__(self)  # not super(): that one builds the full-size encoders
        make = partial(
            comfy.sd1_clip.SDClipModel,
            textmodel_json_config=str(config_file),
            layer="hidden",
            layer_idx=-2,
            layer_norm_hidden_state=False,
            device=device,
            dtype=dtype,
            model_options=model_options or {},
        )
        self.clip_l = make()
        self.clip_g = make(special_tokens={"start": START_TOKEN, "end": END_TOKEN, "pad": 0})
        self.dtypes = {dtype}


def build_model(config: TinyConfig) -> Any:
    """A ComfyUI ModelPatcher around an SDXL of this shape, on the host's devices; its weights are not set yet."""
    management = comfy.model_management
    model_config = comfy.supported_models.SDXL(config.unet_config())
    device = management.get_torch_device()
    supported = model_config.supported_inference_dtypes
    dtype = management.unet_dtype(model_params=8_000_000, supported_dtypes=supported)
    model_config.set_inference_dtype(dtype, management.unet_manual_cast(dtype, device, supported))
    model = model_config.get_model({}, UNET_PREFIX, device=management.unet_inital_load_device(8_000_000, dtype))
    return compat.ModelPatcher(model, load_device=device, offload_device=management.unet_offload_device())


def build_clip(folder: Path, config: TinyConfig) -> comfy.sd.CLIP:
    """A ComfyUI CLIP with the tokenizer and text encoders of `folder`; its weights are not set yet."""
    target = SimpleNamespace(
        params={"config_file": folder / TEXT_ENCODER_FILE},
        clip=TinyTextEncoders,
        tokenizer=partial(TinyTokenizer, folder, config.text_width),
    )
    return comfy.sd.CLIP(target)


def load(folder: Path) -> tuple[Any, comfy.sd.CLIP, comfy.sd.VAE]:
    """The model in `folder` as ComfyUI's (ModelPatcher, CLIP, VAE), on the host's devices.

    Raises FileNotFoundError without the file, and ValueError naming file and key when its keys are not the model's.
    """
    path = folder / MODEL_FILE
    if not path.is_file():
        raise FileNotFoundError(
            f"No model at {path}. Expected the file that `python -m appl_search.demo.making` writes."
        )
    with safe_open(path, framework="pt") as file:
        values = json.loads(file.metadata()["config"])
        state = {key: file.get_tensor(key) for key in file.keys()}
    config = TinyConfig(**{**values, "depths": tuple(values["depths"])})

    model = build_model(config)
    unet = {key: state.pop(key) for key in list(state) if key.startswith(UNET_PREFIX)}
    _check_keys(path, {UNET_PREFIX + key for key in model.model.diffusion_model.state_dict()}, set(unet))
    is_dynamic = getattr(model, "is_dynamic", None)
    model.model.load_model_weights(unet, UNET_PREFIX, **({"assign": True} if is_dynamic and is_dynamic() else {}))

    vae = {key.removeprefix(VAE_PREFIX): state.pop(key) for key in list(state) if key.startswith(VAE_PREFIX)}
    clip = build_clip(folder / TOKENIZER_FOLDER, config)
    missing, unexpected = clip.load_sd({key: _unpack_rows(key, value) for key, value in state.items()}, full_model=True)
    if unexpected or any(not key.endswith("logit_scale") for key in missing):
        raise ValueError(f"{path}: text encoder keys missing: {missing}, not expected: {unexpected}")
    return model, clip, comfy.sd.VAE(sd=widen_vae(vae))


def _check_keys(path: Path, expected: set[str], found: set[str]) -> None:
    if expected != found:
        missing, unexpected = sorted(expected - found), sorted(found - expected)
        raise ValueError(f"{path}: U-Net keys missing: {missing}, not expected: {unexpected}")


def _is_token_table(key: str) -> bool:
    return key.endswith("token_embedding.weight")


def pack_rows(key: str, value: Tensor, tokens: int) -> Tensor:
    """Of a token table [49408, width] the rows in use: the ordinary `tokens`, then start and end. Else `value`."""
    return torch.cat([value[:tokens], value[START_TOKEN:]]) if _is_token_table(key) else value


def _unpack_rows(key: str, value: Tensor) -> Tensor:
    """The reverse of `pack_rows`; rows that no prompt can reach are zero."""
    if not _is_token_table(key):
        return value
    table = value.new_zeros(VOCABULARY_ROWS, value.shape[1])
    table[: len(value) - 2], table[START_TOKEN:] = value[:-2], value[-2:]
    return table


def widen_vae(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Pad the channels of a narrow TAESD with zeros to the 64 that ComfyUI builds; what it computes stays the same.

    A zero channel has zero weights and bias, passes every ReLU as zero, and meets only zero weights in the next layer.
    """
    outer = {"taesd_encoder.0": "in", "taesd_encoder.14": "out", "taesd_decoder.1": "in", "taesd_decoder.19": "out"}
    wide = {}
    for key, value in state.items():
        layer, _, kind = key.rpartition(".")
        side = outer.get(layer)
        shape = list(value.shape)
        if value.ndim and side != "out":
            shape[0] = _TAESD_WIDTH
        if value.ndim == 4 and side != "in":
            shape[1] = _TAESD_WIDTH
        if any(new < old for new, old in zip(shape, value.shape, strict=True)):
            raise ValueError(f"{key}: {kind} of shape {tuple(value.shape)}. Expected at most {_TAESD_WIDTH} channels")
        wide[key] = value.new_zeros(shape)
        wide[key][tuple(slice(n) for n in value.shape)] = value
    return wide

"""A search on an SDXL of full size with random weights, through the host's own checkpoint loader: does it fit, and how long does it take.

    COMFYUI_PATH=/path/to/ComfyUI /path/to/its/python tests/benchmarks/full_size.py [--pixels 256] [--dtype fp16] [--keep FOLDER]

Makes a checkpoint of 3.5e9 parameters (7 GB) and a LoRA of all attention layers and both text encoders in a temporary folder,
takes two samples, and prints the seconds and the most memory that the process has had.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from appl_search.host import checkpoint  # noqa: E402

checkpoint.prepare()

import comfy.ldm.models.autoencoder  # noqa: E402
import comfy.model_base  # noqa: E402
import comfy.ops  # noqa: E402
import comfy.sdxl_clip  # noqa: E402
import comfy.supported_models  # noqa: E402
import models  # noqa: E402
import torch  # noqa: E402
from safetensors.torch import save_file  # noqa: E402

from appl_search import LoraSource, SearchSettings, TrainingSet, search  # noqa: E402
from appl_search.host import device  # noqa: E402

VAE = {
    "double_z": True, "z_channels": 4, "resolution": 256, "in_channels": 3, "out_ch": 3, "ch": 128, "ch_mult": [1, 2, 4, 4],
    "num_res_blocks": 2, "attn_resolutions": [], "dropout": 0.0,
}  # fmt: skip
RANK = 8


def main() -> None:
    parser = argparse.ArgumentParser(prog="full_size.py")
    parser.add_argument("--pixels", type=int, default=256, help="width and height of the one picture (%(default)s)")
    parser.add_argument("--dtype", default="", choices=["", "fp16", "bf16", "fp32"], help="of the U-Net's weights; the host chooses without")
    parser.add_argument("--keep", type=Path, help="a folder for the files, which stay there for the next time")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary, torch.inference_mode():
        folder = options.keep or Path(temporary)
        file, lora = folder / "sdxl.safetensors", folder / "lora.safetensors"
        if not file.exists() or not lora.exists():
            folder.mkdir(parents=True, exist_ok=True)
            save_file(dict(weights()), file)
            save_file(dict(lora_weights()), lora)
        _measure(file, lora, options.pixels, options.dtype)


def _measure(file: Path, lora: Path, pixels: int, dtype: str) -> None:
    started = time.perf_counter()
    model, clip, vae = checkpoint.load(file, dtype=dtype)
    loaded = time.perf_counter()
    picture = torch.rand(1, pixels, pixels, 3, generator=torch.Generator().manual_seed(0))
    settings = SearchSettings(method="adamw", samples=2, batch_size=1, validation=0, comparison=0)
    result = search(model, clip, vae, [LoraSource(lora)], TrainingSet.from_images(picture, "a cat"), settings)
    parameters = sum(weight.numel() for part in (model.model, clip.cond_stage_model, vae.first_stage_model) for weight in part.parameters())
    keys = sum(result.block_weights[0].layout.groups.values())
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    print(
        f"{parameters / 1e9:.2f}e9 parameters, {keys} keys in the LoRA, {pixels} pixels: loaded in {loaded - started:.0f} s, two steps and "
        f"the check of the gradient in {time.perf_counter() - loaded:.0f} s. Most main memory {most / 1e9:.1f} GB, "
        f"on the accelerator {device.peak_memory() / 1e9 if torch.cuda.is_available() else 0:.1f} GB."
    )


def shapes() -> Iterator[tuple[str, torch.Size]]:
    """Every key of an SDXL checkpoint, as they are published."""
    with torch.device("meta"):
        unet = comfy.model_base.SDXL(comfy.supported_models.SDXL({**models.COMMON, **models.FULL}))
        text = comfy.sdxl_clip.SDXLClipModel(device="meta", dtype=torch.float16)
        vae = comfy.ldm.models.autoencoder.AutoencoderKL(ddconfig=VAE, embed_dim=4)
    for key, part in unet.diffusion_model.state_dict().items():
        yield f"model.diffusion_model.{key}", part.shape
    for key, part in text.state_dict().items():
        if key.startswith("clip_l.transformer.text_model."):
            yield key.replace("clip_l.", "conditioner.embedders.0."), part.shape
    yield from _open_clip({key: part.shape for key, part in text.state_dict().items() if key.startswith("clip_g.")})
    for key, part in vae.state_dict().items():
        yield f"first_stage_model.{key}", part.shape


def _open_clip(shapes: dict[str, torch.Size]) -> Iterator[tuple[str, torch.Size]]:
    """The large text encoder under the names of OpenCLIP, which keeps query, key and value in one tensor."""
    prefix, model = "clip_g.transformer.text_model.", "conditioner.embedders.1.model."
    names = {"layer_norm1": "ln_1", "layer_norm2": "ln_2", "mlp.fc1": "mlp.c_fc", "mlp.fc2": "mlp.c_proj", "self_attn.out_proj": "attn.out_proj"}
    others = {
        "embeddings.token_embedding.weight": "token_embedding.weight", "embeddings.position_embedding.weight": "positional_embedding",
        "final_layer_norm.weight": "ln_final.weight", "final_layer_norm.bias": "ln_final.bias",
    }  # fmt: skip
    for key, shape in shapes.items():
        if not key.startswith(prefix):
            continue
        name = key.removeprefix(prefix)
        if name in others:
            yield model + others[name], shape
        elif name.startswith("encoder.layers."):
            number, _, part = name.removeprefix("encoder.layers.").partition(".")
            layer, _, parameter = part.rpartition(".")
            if layer in names:
                yield f"{model}transformer.resblocks.{number}.{names[layer]}.{parameter}", shape
            elif layer == "self_attn.q_proj":
                yield f"{model}transformer.resblocks.{number}.attn.in_proj_{parameter}", torch.Size((3 * shape[0], *shape[1:]))
    width = shapes[prefix + "final_layer_norm.weight"][0]
    yield f"{model}text_projection", torch.Size((width, width))
    yield f"{model}logit_scale", torch.Size(())


def weights() -> Iterator[tuple[str, torch.Tensor]]:
    """Random ones in fp16, of about the size that training leaves."""
    generator = torch.Generator().manual_seed(0)
    for key, shape in shapes():
        if len(shape) > 1:
            yield key, (torch.randn(shape, generator=generator) * shape[1:].numel() ** -0.5).half()
        else:
            yield key, torch.full(shape, float(key.endswith("weight"))).half()


def lora_weights() -> Iterator[tuple[str, torch.Tensor]]:
    """Of rank 8 for all attention layers and both text encoders, by kohya's names."""
    generator = torch.Generator().manual_seed(1)
    with torch.device("meta"):
        unet = comfy.model_base.SDXL(comfy.supported_models.SDXL({**models.COMMON, **models.FULL})).diffusion_model
        text = comfy.sdxl_clip.SDXLClipModel(device="meta", dtype=torch.float16)
    parts = {"lora_unet": unet, "lora_te1": text.clip_l.transformer, "lora_te2": text.clip_g.transformer}
    for prefix, model in parts.items():
        for name, layer in model.named_modules():
            shape = getattr(getattr(layer, "weight", None), "shape", ())
            if len(shape) == 2 and any(part in name for part in (".attn", ".ff.", ".proj_", "self_attn", ".mlp.")):
                stem = f"{prefix}_{name.replace('.', '_')}"
                yield f"{stem}.lora_up.weight", (0.02 * torch.randn(shape[0], RANK, generator=generator)).half()
                yield f"{stem}.lora_down.weight", (0.02 * torch.randn(RANK, shape[1], generator=generator)).half()
                yield f"{stem}.alpha", torch.tensor(float(RANK)).half()


if __name__ == "__main__":
    main()

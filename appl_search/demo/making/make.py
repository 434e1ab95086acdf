"""The recipe: every file of the demo from one seed."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

import torch
from PIL import Image
from torch import Tensor

from ..tiny_sdxl import TinyConfig, load
from .denoising import Denoiser
from .pool import make_pool
from .train_base import train_base
from .train_loras import LoraRecipe, train_lora
from .vae import encode, train_vae
from .world import CHARACTER, DUSKY_PALETTE, PALETTE, SHAPES, STYLE_TAG, Palette, caption

log = logging.getLogger(__name__)

CHARACTER_BIAS = {
    "shape": CHARACTER,
    "colour": "pink",
    "texture": "dotted",
    "background": "yellow",
    "background_texture": "striped",
}
STYLE_BIAS = {"shape": ("circle", "square", "ring")}
CHARACTER_RECIPE = LoraRecipe(rank=8, alpha=4.0, convolutions=False, text=True, steps=300, lr=3e-3, text_lr=1e-3)
STYLE_RECIPE = LoraRecipe(rank=4, alpha=2.0, convolutions=True, text=False, steps=400, lr=3e-3)
CHARACTER_PICTURES, STYLE_PICTURES = 24, 64
VAE_STEPS = 1200
BASE_STEPS = 1800


@dataclass(frozen=True)
class ImageFolder:
    """One folder of example pictures: the character with any look, in one palette."""

    count: int
    palette: Palette
    tag: str = ""


IMAGE_FOLDERS = {
    "train": ImageFolder(12, PALETTE),
    "heldout": ImageFolder(12, PALETTE),
    "styled_train": ImageFolder(10, DUSKY_PALETTE, STYLE_TAG),
    "styled_heldout": ImageFolder(10, DUSKY_PALETTE, STYLE_TAG),
}


def _scaled(steps: int, effort: float) -> int:
    return max(2, round(effort * steps))


def _shortened(recipe: LoraRecipe, effort: float) -> LoraRecipe:
    return replace(recipe, steps=_scaled(recipe.steps, effort))


def make_vae(seed: int, effort: float = 1.0) -> dict[str, Tensor]:
    """A narrow TAESD that knows both palettes and the character."""
    pools = (
        make_pool(1600, seed * 100 + 11),
        make_pool(300, seed * 100 + 12, shape=CHARACTER),
        make_pool(300, seed * 100 + 13, DUSKY_PALETTE, shape=(*SHAPES, CHARACTER)),
    )
    return train_vae(torch.cat([pool.pictures for pool in pools]), _scaled(VAE_STEPS, effort), seed)


def make_base(
    out: Path, seed: int, config: TinyConfig, vae_state: dict[str, Tensor], effort: float, pictures: int = 6000
) -> None:
    """The model's files, trained on the base world in its own palette."""
    pool = make_pool(pictures, seed * 100 + 21)
    latents = encode(vae_state, pool.pictures)
    log.info("latents: mean %.3f, deviation %.3f", latents.mean(), latents.std())
    train_base(out, config, vae_state, pool, latents, _scaled(BASE_STEPS, effort), seed)


def make_loras(out: Path, seed: int, vae_state: dict[str, Tensor], effort: float = 1.0) -> None:
    """Both LoRAs, for the model in `out`."""
    model, clip, _vae = load(out)
    denoiser = Denoiser(model, clip)
    folder = out / "loras"
    folder.mkdir(parents=True, exist_ok=True)
    character = make_pool(CHARACTER_PICTURES, seed * 100 + 31, **CHARACTER_BIAS)
    prompts = [f"a {CHARACTER}"] * CHARACTER_PICTURES
    latents = encode(vae_state, character.pictures)
    train_lora(folder / "character.safetensors", denoiser, _shortened(CHARACTER_RECIPE, effort), latents, prompts, seed)
    style = make_pool(STYLE_PICTURES, seed * 100 + 32, DUSKY_PALETTE, **STYLE_BIAS)
    rng = Random(seed * 100 + 33)
    prompts = [caption(scene, rng, STYLE_TAG) for scene in style.scenes]
    latents = encode(vae_state, style.pictures)
    train_lora(folder / "style.safetensors", denoiser, _shortened(STYLE_RECIPE, effort), latents, prompts, seed)


def make_images(out: Path, seed: int) -> None:
    """The example pictures with a caption file each."""
    for number, (name, folder) in enumerate(IMAGE_FOLDERS.items()):
        path = out / "images" / name
        path.mkdir(parents=True, exist_ok=True)
        pool = make_pool(folder.count, seed * 100 + 41 + number, folder.palette, shape=CHARACTER)
        rng = Random(seed * 100 + 51 + number)
        for i, (scene, picture) in enumerate(zip(pool.scenes, pool.pictures, strict=True), start=1):
            Image.fromarray(picture.numpy()).save(path / f"{i:02}.png", optimize=True)
            text = caption(scene, rng, folder.tag, complete=True)
            (path / f"{i:02}.txt").write_text(text + "\n", encoding="utf-8")


def make_all(out: Path, seed: int, config: TinyConfig, effort: float = 1.0) -> None:
    """Everything, into the folder `out`; `effort` scales the length of every training."""
    out.mkdir(parents=True, exist_ok=True)
    make_images(out, seed)
    vae_state = make_vae(seed, effort)
    make_base(out, seed, config, vae_state, effort)
    make_loras(out, seed, vae_state, effort)

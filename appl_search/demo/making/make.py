"""The recipe: every file of the demo from one seed."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

import torch
from PIL import Image
from torch import Tensor

from ...host.tiny_sdxl import TinyConfig, load
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
CHARACTER_RECIPE = LoraRecipe(rank=8, alpha=4.0, convolutions=False, text=True, lr=3e-3, text_lr=1e-3)
STYLE_RECIPE = LoraRecipe(rank=4, alpha=2.0, convolutions=True, text=False, lr=3e-3)
CHARACTER_PICTURES, STYLE_PICTURES = 24, 64


@dataclass(frozen=True)
class Lengths:
    """Steps of each training, and how many pictures the base is trained on. The defaults made the demo's files."""

    vae: int = 4000
    base: int = 8000
    base_pictures: int = 12000
    character: int = 300
    style: int = 400

    def scaled(self, effort: float) -> Lengths:
        """All trainings longer or shorter, on the same pictures."""
        steps = {name: max(2, round(effort * getattr(self, name))) for name in ("vae", "base", "character", "style")}
        return replace(self, **steps)


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


def make_vae(seed: int, steps: int) -> dict[str, Tensor]:
    """A narrow TAESD that knows both palettes and the character."""
    pools = (
        make_pool(1600, seed * 100 + 11),
        make_pool(300, seed * 100 + 12, shape=CHARACTER),
        make_pool(300, seed * 100 + 13, DUSKY_PALETTE, shape=(*SHAPES, CHARACTER)),
    )
    return train_vae(torch.cat([pool.pictures for pool in pools]), steps, seed)


def make_base(out: Path, seed: int, config: TinyConfig, vae_state: dict[str, Tensor], lengths: Lengths) -> None:
    """The model's files, trained on the base world in its own palette."""
    pool = make_pool(lengths.base_pictures, seed * 100 + 21)
    latents = encode(vae_state, pool.pictures)
    log.info("latents: mean %.3f, deviation %.3f", latents.mean(), latents.std())
    train_base(out, config, vae_state, pool, latents, lengths.base, seed)


def make_loras(out: Path, seed: int, vae_state: dict[str, Tensor], lengths: Lengths) -> None:
    """Both LoRAs, for the model in `out`."""
    model, clip, _vae = load(out)
    denoiser = Denoiser(model, clip)
    folder = out / "loras"
    folder.mkdir(parents=True, exist_ok=True)
    character = make_pool(CHARACTER_PICTURES, seed * 100 + 31, **CHARACTER_BIAS)
    prompts = [f"a {CHARACTER}"] * CHARACTER_PICTURES
    latents = encode(vae_state, character.pictures)
    train_lora(folder / "character.safetensors", denoiser, CHARACTER_RECIPE, lengths.character, latents, prompts, seed)
    style = make_pool(STYLE_PICTURES, seed * 100 + 32, DUSKY_PALETTE, **STYLE_BIAS)
    rng = Random(seed * 100 + 33)
    prompts = [caption(scene, rng, STYLE_TAG) for scene in style.scenes]
    latents = encode(vae_state, style.pictures)
    train_lora(folder / "style.safetensors", denoiser, STYLE_RECIPE, lengths.style, latents, prompts, seed)


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


def make_all(out: Path, seed: int, config: TinyConfig, lengths: Lengths = Lengths()) -> None:
    """Everything, into the folder `out`."""
    out.mkdir(parents=True, exist_ok=True)
    make_images(out, seed)
    vae_state = make_vae(seed, lengths.vae)
    make_base(out, seed, config, vae_state, lengths)
    make_loras(out, seed, vae_state, lengths)

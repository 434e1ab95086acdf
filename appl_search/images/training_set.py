"""The pictures that a search compares the model with: images and captions, or latents and conditioning."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

MINIMUM_SIDE = 64
_SIZES = ("width", "height", "crop_w", "crop_h", "target_width", "target_height")


@dataclass(frozen=True)
class Picture:
    """An image to be encoded. ``pixels`` [h, w, 3] in 0..1; ``sizes``: SDXL's size conditioning, in pixels."""

    pixels: Tensor
    caption: str
    sizes: dict[str, int]


@dataclass(frozen=True)
class Example:
    """An encoded picture. ``latent`` [4, h, w] in the VAE's scale; ``context`` [tokens, c]; ``pooled`` [p].

    ``caption`` is None when the conditioning came ready-made.
    """

    latent: Tensor
    context: Tensor
    pooled: Tensor
    sizes: dict[str, int]
    caption: str | None = None


@dataclass(frozen=True)
class TrainingSet:
    """Pictures and encoded examples, in the order they were given.

    ``notes`` says in words what was done to the images (crops).
    """

    items: tuple[Picture | Example, ...] = ()
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.items)

    def __add__(self, other: TrainingSet) -> TrainingSet:
        return TrainingSet(self.items + other.items, self.notes + other.notes)

    @classmethod
    def from_images(cls, images: Tensor | Sequence[Tensor], captions: str | Sequence[str]) -> TrainingSet:
        """Images as ComfyUI has them, [n, h, w, 3] in 0..1 (or several such batches), and their captions.

        One caption serves all images. Images whose sides are no multiples of 8 are cropped centrally.
        Raises ValueError for no image, an image under 64 pixels, NaN pixels, or a number of captions
        that is neither one nor that of the images.
        """
        batches = [images] if isinstance(images, Tensor) else list(images)
        pictures = [picture for batch in batches for picture in (batch if batch.ndim == 4 else batch[None])]
        captions = [captions] if isinstance(captions, str) else list(captions)
        if not pictures:
            raise ValueError("There is no training image. Connect at least one.")
        if len(captions) == 1:
            captions *= len(pictures)
        if len(captions) != len(pictures):
            raise ValueError(
                f"There are {len(captions)} captions for {len(pictures)} images. Give one line for each image, or a "
                "single line for all of them."
            )
        items, notes = [], []
        for number, (pixels, caption) in enumerate(zip(pictures, captions), 1):
            item, note = _picture(pixels, caption.strip(), number)
            items.append(item)
            notes += note
        return cls(tuple(items), tuple(notes))

    @classmethod
    def from_latents(cls, latent: dict, conditioning: Sequence[Sequence]) -> TrainingSet:
        """A LATENT ({"samples": [n, 4, h, w]}) and CONDITIONING ([[context, {"pooled_output": ...}], ...]).

        One conditioning entry serves all latents. Sizes in the conditioning (CLIPTextEncodeSDXL) are
        kept, else the latent's own size counts. Raises ValueError for shapes that do not fit, NaN
        values, or conditioning without a pooled output.
        """
        samples = latent["samples"]
        if samples.ndim != 4 or samples.shape[1] != 4 or not len(samples):
            raise ValueError(f"The LATENT has shape {tuple(samples.shape)}, expected (n, 4, h, w) from an SDXL VAE.")
        if not torch.isfinite(samples).all():
            raise ValueError("The LATENT has NaN or infinite values. Check the image and the VAE it came from.")
        entries = list(conditioning) * (len(samples) if len(conditioning) == 1 else 1)
        if len(entries) != len(samples):
            raise ValueError(
                f"There are {len(entries)} conditioning entries for {len(samples)} latents. Give one for each, or a "
                "single one for all."
            )
        return cls(tuple(_example(sample, *entry[:2]) for sample, entry in zip(samples, entries)))


def _picture(pixels: Tensor, caption: str, number: int) -> tuple[Picture, list[str]]:
    height, width = pixels.shape[:2]
    if min(height, width) < MINIMUM_SIDE:
        raise ValueError(
            f"Training image {number} is {width}x{height} pixels, expected at least {MINIMUM_SIDE} on each side. "
            "Use a larger picture: SDXL was trained at about 1024x1024."
        )
    if not torch.isfinite(pixels).all():
        raise ValueError(f"Training image {number} has NaN or infinite pixels. Check the node that made it.")
    top, left = height % 8 // 2, width % 8 // 2
    kept_height, kept_width = height - height % 8, width - width % 8
    sizes = dict(zip(_SIZES, (width, height, left, top, kept_width, kept_height)))
    notes = []
    if (kept_height, kept_width) != (height, width):
        notes.append(f"Image {number} was cropped centrally from {width}x{height} to {kept_width}x{kept_height} pixels.")
    kept = pixels[top : top + kept_height, left : left + kept_width, :3].detach().float().cpu().clone()
    return Picture(kept, caption, sizes), notes


def _example(latent: Tensor, context: Tensor, extras: dict) -> Example:
    pooled = extras.get("pooled_output")
    if pooled is None:
        raise ValueError("The CONDITIONING has no pooled output, expected SDXL's. Use a CLIP text encode node with an SDXL CLIP.")
    height, width = latent.shape[1] * 8, latent.shape[2] * 8
    defaults = dict(zip(_SIZES, (width, height, 0, 0)))
    sizes = defaults | {name: int(extras[name]) for name in _SIZES if name in extras}
    sizes.setdefault("target_width", sizes["width"])
    sizes.setdefault("target_height", sizes["height"])
    plain = (tensor.detach().float().cpu().clone() for tensor in (latent, context[0], pooled[0]))
    return Example(*plain, sizes)


def encode(training_set: TrainingSet, encode_image, encode_caption) -> list[Example]:
    """Every picture as an example; equal captions are encoded once.

    ``encode_image``: pixels [h, w, 3] -> latent [4, h/8, w/8]; ``encode_caption``: text -> (context
    [1, tokens, c], pooled [1, p]). Latents and conditioning stay in ordinary memory.
    """
    texts: dict[str, tuple[Tensor, Tensor]] = {}
    for item in training_set.items:
        if isinstance(item, Picture) and item.caption not in texts:
            texts[item.caption] = tuple(part[0].detach().float().cpu() for part in encode_caption(item.caption))
    examples = []
    for item in training_set.items:
        if isinstance(item, Picture):
            latent = encode_image(item.pixels).detach().float().cpu()
            item = Example(latent, *texts[item.caption], item.sizes, item.caption)
        examples.append(item)
    return examples

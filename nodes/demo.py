"""The node that loads the demo's model, which comes with the pack."""

from __future__ import annotations

from ..appl_search import TrainingSet, demo
from .support.common import CATEGORY, TRAINING_IMAGES


class TinySDXL:
    """The demo's model and its training images; the demo's LoRAs are in the LoRA loaders' lists."""

    CATEGORY = CATEGORY
    DESCRIPTION = (
        "A real SDXL of 6 million parameters for 128x128 pictures of coloured shapes, to try the search on in minutes without "
        "a GPU. The LoRAs marked [demo] are for it."
    )
    SEARCH_ALIASES = ["demo", "example model", "test model", "tiny sdxl"]
    RETURN_TYPES = ("MODEL", "CLIP", "VAE", TRAINING_IMAGES, "IMAGE", "STRING", TRAINING_IMAGES)
    RETURN_NAMES = ("model", "clip", "vae", "training_images", "images", "captions", "unseen_images")
    OUTPUT_TOOLTIPS = (
        "The tiny SDXL.",
        "Its two text encoders.",
        "Its VAE.",
        "Images and captions of the demo's character in the demo's style, without the colours and textures that its LoRA was trained with.",
        "The same images, to look at or to choose from.",
        "Their captions, one per line.",
        "Other images like the training images, with captions: to see whether what was found is better for images that were not searched on.",
    )
    FUNCTION = "load"

    @classmethod
    def INPUT_TYPES(cls) -> dict:
        return {"required": {}}

    def load(self) -> tuple:
        images, captions = demo.load_images("styled_train")
        unseen = TrainingSet.from_images(*demo.load_images("styled_heldout"))
        return (*demo.load_tiny_sdxl(), TrainingSet.from_images(images, captions), images, "\n".join(captions), unseen)

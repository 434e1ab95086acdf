"""The nodes that collect images, latents and captions for the search."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from ..appl_search import TrainingOptions, TrainingSet
from ..appl_search.images.captions import split_captions
from ..appl_search.images.training_set import captions_of
from .support.training import OPTIONS, PREVIOUS, CollectsTrainingImages, appended


class _CollectsLists(CollectsTrainingImages):
    """It takes lists, so that nodes which give lists of images and texts lead to one search on all of them."""

    FUNCTION = "collect"
    INPUT_IS_LIST = True


class TrainingImages(_CollectsLists):
    """Images and their captions, after those of other nodes like it."""

    DESCRIPTION = (
        "The images that the model should come closest to, and their captions. Chain several nodes for images of different "
        "sizes. A dozen images are plenty."
    )
    SEARCH_ALIASES = ["dataset", "training set", "captions", "block weight images"]

    @classmethod
    def INPUT_TYPES(cls) -> dict:
        return {
            "required": {
                "images": ("IMAGE", {"tooltip": "One image, a batch or a list, at least 64 pixels on each side. Sides that are no multiples of 8 are cropped centrally."}),
                "captions": ("STRING", {"multiline": True, "default": "", "tooltip": "One line for each image, in their order, or a single line for all. An empty line is an empty caption. A list of texts, from a node for datasets, is one caption for each image."}),
            },
            "optional": {
                "previous": PREVIOUS,
                "mask": ("MASK", {"tooltip": "What counts in the loss, for each image or for all: where the mask is 1, as painted in the mask editor, and in part between 0 and 1."}),
                "options": OPTIONS,
            },
        }  # fmt: skip

    def collect(
        self,
        images: Sequence[Tensor],
        captions: Sequence[str],
        previous: Sequence[TrainingSet] = (None,),
        mask: Sequence[Tensor] | None = None,
        options: Sequence[TrainingOptions] = (TrainingOptions(),),
    ) -> dict:
        number = sum(len(batch) if batch.ndim == 4 else 1 for batch in images)
        lines = split_captions(captions[0], number) if len(captions) == 1 else captions_of(captions, options[0])
        return appended(previous[0], TrainingSet.from_images(images, lines, mask, options[0]))


class TrainingLatents(_CollectsLists):
    """Latents and conditioning that are ready, after those of other nodes; lists, as the host's nodes for datasets give them."""

    DESCRIPTION = (
        "Encoded images that the model should come closest to: latents with their conditioning, one by one or in lists, as from "
        "Make Training Dataset, Load Training Dataset and Resolution Bucket. BASE cannot be searched on them."
    )
    SEARCH_ALIASES = ["dataset", "training set", "latents", "block weight latents"]
    OUTPUT_TOOLTIPS = ("All images so far: for the search, or for another of these nodes to append to.",)

    @classmethod
    def INPUT_TYPES(cls) -> dict:
        return {
            "required": {
                "latents": ("LATENT", {"tooltip": "Of an SDXL VAE: one, a batch, or a list. A latent noise mask says what counts in the loss."}),
                "conditioning": ("CONDITIONING", {"tooltip": "Of an SDXL CLIP: one for each latent, in their order, or a single one for all."}),
            },
            "optional": {"previous": PREVIOUS},
        }  # fmt: skip

    def collect(self, latents: Sequence[dict], conditioning: Sequence[Any], previous: Sequence[TrainingSet] = (None,)) -> dict:
        return appended(previous[0], TrainingSet.from_latents(latents, conditioning))

"""Images and captions for the search."""

from __future__ import annotations

from ..appl_search import TrainingSet
from ..appl_search.images.captions import split_captions
from .support.common import CATEGORY, TRAINING_IMAGES, log, shown


class TrainingImages:
    """An IMAGE batch and its captions, after those of other nodes like it."""

    CATEGORY = CATEGORY
    DESCRIPTION = (
        "The images that the model should come closest to, and their captions. Chain several nodes for images of different "
        "sizes. A dozen images are plenty."
    )
    SEARCH_ALIASES = ["dataset", "training set", "captions", "block weight images"]
    RETURN_TYPES = (TRAINING_IMAGES,)
    RETURN_NAMES = ("training_images",)
    OUTPUT_TOOLTIPS = ("All images and captions so far: for the search, or for another of these nodes to append to.",)
    FUNCTION = "collect"

    @classmethod
    def INPUT_TYPES(cls) -> dict:
        return {
            "required": {
                "images": ("IMAGE", {"tooltip": "One image or a batch, at least 64 pixels on each side. Sides that are no multiples of 8 are cropped centrally."}),
                "captions": ("STRING", {"multiline": True, "default": "", "tooltip": "One line for each image, in their order, or a single line for all. An empty line is an empty caption."}),
            },
            "optional": {
                "previous": (TRAINING_IMAGES, {"tooltip": "Images of another of these nodes, which these are appended to."}),
            },
        }  # fmt: skip

    def collect(self, images, captions: str, previous: TrainingSet | None = None) -> dict:
        added = TrainingSet.from_images(images, split_captions(captions, len(images)))
        for note in added.notes:
            log.info("Training Images: %s", note)
        training_set = previous + added if previous is not None else added
        return shown((training_set,), [f"{len(training_set)} training images", *filter(None, (*added.notes, added.size_note))])

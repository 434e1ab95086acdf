"""What the nodes share that collect training images."""

from __future__ import annotations

from ...appl_search import TrainingSet
from .common import CATEGORY, TRAINING_IMAGES, TRAINING_OPTIONS, log, shown

OPTIONS = (TRAINING_OPTIONS, {"tooltip": "From Training Options: sizes, captions, repeats and the like, for these images."})
PREVIOUS = (TRAINING_IMAGES, {"tooltip": "Images of another of these nodes, which these are appended to."})


class CollectsTrainingImages:
    """What the nodes have in common that collect training images."""

    CATEGORY = CATEGORY
    RETURN_TYPES = (TRAINING_IMAGES,)
    RETURN_NAMES = ("training_images",)
    OUTPUT_TOOLTIPS = ("All images and captions so far: for the search, or for another of these nodes to append to.",)


def appended(previous: TrainingSet | None, added: TrainingSet) -> dict:
    """A node's output: the images so far. Shows how many they are, and what was done to those that were added."""
    for note in added.notes:
        log.info("Training Images: %s", note)
    training_set = added if previous is None else previous + added
    count, samples = len(training_set), len(training_set.epoch())
    text = f"{count} training images" + (f", {samples} with repeats" if samples != count else "")
    return shown((training_set,), [text, *added.remarks])

"""What the nodes share: their place in the menu, their types, their log, and how they show things."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from PIL import Image

log = logging.getLogger("appl_search")

CATEGORY = "LoRA/block weights"
BLOCK_WEIGHTS = "BLOCK_WEIGHTS"  # an appl_search.SearchResult
TRAINING_IMAGES = "TRAINING_IMAGES"  # an appl_search.TrainingSet
TRAINING_OPTIONS = "APPL_SEARCH_TRAINING_OPTIONS"  # an appl_search.TrainingOptions
BLOCK_RULES = "APPL_SEARCH_BLOCK_RULES"  # a text that appl_search.loras.rules.BlockRules reads
CHOICES = "APPL_SEARCH_CHOICES"  # a tuple of nodes.support.choices.Choice
SETTINGS = "APPL_SEARCH_SETTINGS"  # an appl_search.SearchSettings
PREVIEWS = "APPL_SEARCH_PREVIEWS"  # an appl_search.PreviewSettings
EXPLORATION = "APPL_SEARCH_EXPLORATION"  # an appl_search.exploring.exploration.Exploration
HOOKS = "HOOKS"  # a comfy.hooks.HookGroup
LORA_STACK = "LORA_STACK"  # of several packs: [(name in the loras folders, strength of the U-Net, of the text encoders), ...]
LBW_MODEL = "LBW_MODEL"  # of ComfyUI-Inspire-Pack: {"blocks": {key: (patch, rate)}, "muted": [key, ...]}

#: The format of strings before the user has chosen one.
DEFAULT_FORMAT = "inspire"

#: Inputs that several nodes have.
FOUND = (BLOCK_WEIGHTS, {"tooltip": "From the search, or from Load Block Weights."})
FILE_NAME = ("STRING", {"default": "", "tooltip": "The file's name, to which a number is added; it may begin with folders. Empty: the LoRAs' names."})

Json = dict[str, Any]


class SavesAFile:
    """What the nodes have in common that write block weights to a file."""

    CATEGORY = CATEGORY
    RETURN_TYPES = ("STRING",)
    RETURN_NAMES = ("path",)
    OUTPUT_TOOLTIPS = ("The file that was written.",)
    FUNCTION = "save"
    OUTPUT_NODE = True

    @classmethod
    def INPUT_TYPES(cls) -> dict:
        return {"required": {"block_weights": FOUND, "name": FILE_NAME}}


def as_pictures(images: Iterable[torch.Tensor]) -> list[Image.Image]:
    """Pictures of an IMAGE batch [n, height, width, 3] with values from 0 to 1."""
    return [Image.fromarray((image.clamp(0, 1) * 255).round().byte().cpu().numpy()) for image in images]


def shown(result: tuple, text: Sequence[str] = (), warnings: Sequence[str] = (), **more: list) -> dict:
    """What a node returns: its outputs, lines of text to show in it, and warnings to show in it and to log."""
    for warning in warnings:
        log.warning("%s", warning)
    return {"ui": {"text": list(text), "warnings": list(warnings), **more}, "result": result}

"""The node that shows what each block of a LoRA does to a picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..appl_search import BlockWeights, LoraSource, Models, PreviewSettings, SearchResult
from ..appl_search.architectures import blocks_named
from ..appl_search.exploring.exploration import COMPARED_WITH
from ..appl_search.exploring.explore import ExplorerTask, explore
from ..appl_search.exploring.variants import MODES
from ..appl_search.loras.layout import LoraLayout
from ..appl_search.report.explored import explored_table, explored_words, grid
from ..appl_search.settings.declaration import PREVIEWS
from .previews import CHOICES
from .support.common import BLOCK_WEIGHTS, CATEGORY, EXPLORATION, shown
from .support.drawn import shown_in_node
from .support.files import result_folder
from .support.lora_files import lora_names, lora_path
from .support.matching import AUTO, rates_for
from .support.sampling_progress import SamplingProgress
from .support.widgets import given, widgets

EXPLORED = "explored"  # below the folder of results: pictures that are done


class BlockExplorer:
    """Samples pictures with one block of a LoRA off, or alone, and compares them."""

    CATEGORY = CATEGORY
    DESCRIPTION = (
        "Shows what each block of a LoRA does to a picture: one prompt and seed, with one block after the other switched off, or "
        "alone, and where and by how much the pictures differ. Cancel whenever you like: pictures that are done are kept in "
        "output/block_weights/explored and found again."
    )
    SEARCH_ALIASES = ["block weight grid", "xy plot", "lbw", "ablation", "which blocks", "lora blocks"]
    RETURN_TYPES = ("IMAGE", "IMAGE", "IMAGE", "STRING", EXPLORATION)
    RETURN_NAMES = ("grid", "pictures", "differences", "table", "exploration")
    OUTPUT_TOOLTIPS = (
        "All pictures with the maps of their differences, names and numbers, as one image.",
        "The single pictures: with all blocks, without the LoRA, then block by block.",
        "A map for each picture of where it differs: black for the same.",
        "The numbers, the largest difference first, and what they say in words.",
        "All of it, for Block Weights Report.",
    )
    FUNCTION = "explore"
    OUTPUT_NODE = True

    @classmethod
    def INPUT_TYPES(cls) -> dict:
        pictures, _ = widgets(PreviewSettings, PREVIEWS, CHOICES)
        del pictures["every"]
        return {
            "required": {
                "model": ("MODEL", {"tooltip": "The model, with any other LoRAs that shall stay. If the LoRA to explore is on it, it is taken off for the pictures."}),
                "vae": ("VAE", {"tooltip": "The checkpoint's VAE, to decode the pictures."}),
                "lora_name": (lora_names(), {"tooltip": "The LoRA to explore."}),
                "strength": ("FLOAT", {"default": 1.0, "min": -100.0, "max": 100.0, "step": 0.01, "tooltip": "Of the LoRA with all its blocks; multiplies the block weights where they are connected."}),
                "mode": (list(MODES), {"tooltip": "Switch off one block after the other, or all but one, or both. Off shows what is lost without a block, alone what it does by itself."}),
                "blocks": ("STRING", {"default": "", "tooltip": "Which blocks: names, ranges or sections with commas between, such as IN04, OUT00-OUT03, MID. Empty: all that the LoRA has keys for and a rate other than 0."}),
                "compared_with": (list(COMPARED_WITH), {"tooltip": "What the maps and numbers are differences from. What fits: the picture with all blocks where a block is off, the one without the LoRA where it is alone."}),
                **pictures,
            },
            "optional": {
                "clip": ("CLIP", {"tooltip": "The checkpoint's CLIP, for the prompts. With it the LoRA's text-encoder part (in block BASE) is explored too."}),
                "positive_conditioning": ("CONDITIONING", {"tooltip": "Instead of prompt and negative, which stay empty then: for ControlNets and the like. Connect both. The LoRA's text-encoder part stays as it is in them."}),
                "negative_conditioning": ("CONDITIONING", {"tooltip": "The negative one, beside positive_conditioning."}),
                "block_weights": (BLOCK_WEIGHTS, {"tooltip": "From a search: blocks are switched off from these weights. Without it all blocks are at the strength."}),
            },
            "hidden": {"unique_id": "UNIQUE_ID"},
        }  # fmt: skip

    def explore(
        self,
        model,
        vae,
        lora_name: str,
        strength: float,
        mode: str,
        blocks: str,
        compared_with: str,
        clip=None,
        positive_conditioning: list | None = None,
        negative_conditioning: list | None = None,
        block_weights: SearchResult | None = None,
        unique_id: str | None = None,
        **widget_values: Any,
    ) -> dict:
        pictures = PreviewSettings(**given(PreviewSettings, PREVIEWS, widget_values))
        source, weights, warnings = _base(lora_name, strength, block_weights)
        task = ExplorerTask(
            models=Models(model=model, clip=clip, vae=vae), source=source, weights=weights, mode=mode, compared_with=compared_with,
            blocks=_blocks(blocks, weights.layout), pictures=pictures, conditioning=_conditioning(positive_conditioning, negative_conditioning, pictures),
        )  # fmt: skip
        found = explore(task, result_folder() / EXPLORED, SamplingProgress(model, unique_id))
        image, words, table = grid(found), explored_words(found), "\n".join(explored_table(found))
        batches = (_batch([each.pixels for each in found.pictures]), _batch(found.maps))
        result = (_batch([torch.from_numpy(np.array(image))]), *batches, f"{table}\n\n{words}", found)
        return shown(result, [words, table], [*warnings, *found.notes], images=[shown_in_node(image)])


def _base(lora_name: str, strength: float, found: SearchResult | None) -> tuple[LoraSource, BlockWeights, list[str]]:
    """The LoRA, the block weights that its blocks are switched off from, and warnings."""
    if found is not None:
        source, weights, warnings = rates_for(lora_name, found, "", AUTO)
    else:
        source, warnings = LoraSource(lora_path(lora_name)), []
        weights = BlockWeights.for_lora(source, {})
    return source, BlockWeights(weights.layout, tuple(rate * strength for rate in weights.values)), warnings


def _blocks(text: str, layout: LoraLayout) -> list[int] | None:
    """The blocks that a widget names, None where it is empty."""
    if not text.strip():
        return None
    try:
        return blocks_named(text, layout.architecture)
    except ValueError as error:
        raise ValueError(f"Block Explorer: blocks is {text!r}: {error}") from None


def _conditioning(positive: list | None, negative: list | None, pictures: PreviewSettings) -> tuple[list, list] | None:
    """Both, or None for the prompts. Raises ValueError where it is not clear which of them to use."""
    if (positive is None) != (negative is None):
        raise ValueError("Block Explorer: only one of positive_conditioning and negative_conditioning is connected. Connect both, or neither and write the prompts here.")
    if positive is None:
        return None
    if pictures.prompt.strip() or pictures.negative.strip():
        raise ValueError("Block Explorer: there are prompts both in the text and connected. Disconnect the conditioning, or empty the texts.")
    return positive, negative


def _batch(pictures: Sequence[Tensor]) -> Tensor:
    """IMAGE [n, h, w, 3] from 0 to 1 of pictures in uint8."""
    return torch.stack(list(pictures)).float() / 255

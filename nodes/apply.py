"""Nodes that put a LoRA at given block weights on a MODEL."""

from __future__ import annotations

from typing import Any

from ..appl_search import BlockWeights, SearchResult
from ..appl_search.host.lora_loading import LoadedLora, load
from ..appl_search.host.lora_patches import apply, lbw_model
from ..appl_search.weights.formats import FORMATS
from .support.common import BLOCK_WEIGHTS, CATEGORY, LBW_MODEL, shown
from .support.lora_files import lora_names
from .support.matching import AUTO, rates_for
from .support.summary import table

_MODEL = ("MODEL", {"tooltip": "The model that the LoRA is for."})
_CLIP = ("CLIP", {"tooltip": "The checkpoint's CLIP, for LoRAs with a text-encoder part."})
_RESULT = (BLOCK_WEIGHTS, {"tooltip": "From the search or from Load Block Weights; the rates of the chosen LoRA are taken out of it."})
_TEXT = ("STRING", {"multiline": True, "default": "", "tooltip": "Block weights in any format, instead of a connection: Inspire's vector or % spec, a list or tag for A1111 or SD.Next, 20 values, JSON, CSV."})  # fmt: skip
_FORMAT = ([AUTO, *FORMATS], {"default": AUTO, "tooltip": "Of the text. auto finds it out, and asks for it where two formats give this LoRA different rates."})  # fmt: skip
_OPTIONAL = {"clip": _CLIP, "block_weights": _RESULT, "text": _TEXT, "format": _FORMAT}


def _strength(of: str) -> tuple:
    return ("FLOAT", {"default": 1.0, "min": -100.0, "max": 100.0, "step": 0.01, "tooltip": f"Multiplies the rates of the LoRA's {of} part."})


def _lora_name() -> tuple:
    return (lora_names(), {"tooltip": "The LoRA file that the block weights are for."})


def _loaded(
    model, clip, lora_name: str, block_weights: SearchResult | None = None, text: str = "", format: str = AUTO
) -> tuple[LoadedLora, BlockWeights, list[str]]:
    """The LoRA, its rates from what is connected or written, and what the user should know of both."""
    source, weights, warnings = rates_for(lora_name, block_weights, text, format)
    lora = load(source, model, clip)
    return lora, weights, [*warnings, *lora.notes]


class ApplyBlockWeights:
    """The stock LoRA loader, with a rate for each block."""

    CATEGORY = CATEGORY
    DESCRIPTION = (
        "Loads a LoRA at given block weights. With all of them 1 it is exactly the ordinary loader, with all of them 0 exactly "
        "no LoRA."
    )
    SEARCH_ALIASES = ["lora block weight", "lbw", "load lora block weight", "apply lora blocks"]
    RETURN_TYPES = ("MODEL", "CLIP")
    RETURN_NAMES = ("model", "clip")
    OUTPUT_TOOLTIPS = ("The MODEL with the LoRA at its block weights.", "The CLIP with the LoRA at its rate BASE. Empty unless a CLIP is connected.")
    FUNCTION = "apply"

    @classmethod
    def INPUT_TYPES(cls) -> dict:
        return {
            "required": {
                "model": _MODEL,
                "lora_name": _lora_name(),
                "strength_model": _strength("U-Net"),
                "strength_clip": _strength("text-encoder"),
            },
            "optional": _OPTIONAL,
        }

    def apply(
        self,
        model,
        lora_name: str,
        strength_model: float,
        strength_clip: float,
        clip=None,
        **chosen: Any,
    ) -> dict:
        lora, weights, warnings = _loaded(model, clip, lora_name, **chosen)
        patched = apply(model, clip, lora, weights, strength_model, strength_clip)
        return shown(patched, warnings=warnings, table=table(weights))


class BlockWeightsToLBW:
    """Makes what ComfyUI-Inspire-Pack's node MakeLBW makes, straight from block weights instead of from a string."""

    CATEGORY = CATEGORY
    DESCRIPTION = "Makes the LBW_MODEL that Apply LBW of ComfyUI-Inspire-Pack takes, or Save LBW saves."
    SEARCH_ALIASES = ["lbw", "inspire", "make lbw", "lora block weight"]
    RETURN_TYPES = (LBW_MODEL,)
    RETURN_NAMES = ("lbw_model",)
    OUTPUT_TOOLTIPS = ("For the nodes of ComfyUI-Inspire-Pack that take an LBW_MODEL.",)
    FUNCTION = "make"

    @classmethod
    def INPUT_TYPES(cls) -> dict:
        return {
            "required": {"model": _MODEL, "lora_name": _lora_name()},
            "optional": _OPTIONAL,
        }

    def make(self, model, lora_name: str, clip=None, **chosen: Any) -> dict:
        lora, weights, warnings = _loaded(model, clip, lora_name, **chosen)
        return shown((lbw_model(lora, weights),), warnings=warnings, table=table(weights))

"""The node that makes hooks of block weights, for one conditioning instead of the whole MODEL."""

from __future__ import annotations

from ..appl_search import SearchResult
from ..appl_search.host.lora_hooks import hooks
from ..appl_search.host.lora_loading import load
from .support.common import CATEGORY, FOUND, HOOKS, shown
from .support.matching import source_of

PART = {"min": 0.0, "max": 1.0, "step": 0.001}


class BlockWeightsToHooks:
    """What ComfyUI's Create Hook LoRA makes, with a rate for each block."""

    CATEGORY = CATEGORY
    DESCRIPTION = (
        "Makes hooks of block weights, for ComfyUI's nodes that set them on a conditioning: LoRAs that act in one part of the "
        "picture or with one prompt only, or for a range of steps. There they do what the search's MODEL does everywhere."
    )
    SEARCH_ALIASES = ["create hook lora", "lora hooks", "regional lora", "lora schedule", "hook keyframes"]
    RETURN_TYPES = (HOOKS,)
    RETURN_NAMES = ("hooks",)
    OUTPUT_TOOLTIPS = ("For Cond Set Props and the like, with or without Set Hook Keyframes before it.",)
    FUNCTION = "make"

    @classmethod
    def INPUT_TYPES(cls) -> dict:
        strength = {"default": 1.0, "min": -20.0, "max": 20.0, "step": 0.01}
        return {
            "required": {
                "block_weights": FOUND,
                "model": ("MODEL", {"tooltip": "The MODEL that is sampled, without these LoRAs. It is not changed, and says which weights there are."}),
                "strength_model": ("FLOAT", {**strength, "tooltip": "Multiplies the rates of the LoRAs' U-Net parts."}),
                "strength_clip": ("FLOAT", {**strength, "tooltip": "Multiplies the rates of the LoRAs' text-encoder parts."}),
            },
            "optional": {
                "clip": ("CLIP", {"tooltip": "The CLIP that Set CLIP Hooks gets, for LoRAs with a text-encoder part."}),
                "prev_hooks": (HOOKS, {"tooltip": "Hooks that these are added to."}),
                "start_percent": ("FLOAT", {**PART, "default": 0.0, "tooltip": "From which part of sampling on they act: 0 is the first step."}),
                "end_percent": ("FLOAT", {**PART, "default": 1.0, "tooltip": "Until which part of sampling they act: 1 is the last step. 0.5 is where timestep 500 is, in a search of a range of timesteps."}),
            },
        }  # fmt: skip

    def make(
        self, block_weights: SearchResult, model, strength_model: float, strength_clip: float, clip=None, prev_hooks=None,
        start_percent: float = 0.0, end_percent: float = 1.0,
    ) -> dict:  # fmt: skip
        loras = [(load(source_of(weights), model, clip), weights) for weights in block_weights.block_weights]
        notes = [note for lora, _ in loras for note in lora.notes]
        return shown((hooks(loras, clip, strength_model, strength_clip, prev_hooks, start_percent, end_percent),), warnings=notes)

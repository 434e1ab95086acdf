"""The node that writes block weights into a LORA_STACK, where a stack can carry them."""

from __future__ import annotations

from ..appl_search import SearchResult
from .support.common import CATEGORY, FOUND, LORA_STACK, shown
from .support.lora_files import DEMO_PREFIX, lora_name_of
from .support.matching import source_of
from .support.stacks import Stacked, describe_rates, stackable


class BlockWeightsToStack:
    """A stack has one strength for a LoRA's U-Net and one for its text encoders: only such block weights go into it."""

    CATEGORY = CATEGORY
    DESCRIPTION = (
        "Makes a LORA_STACK of block weights, for the loaders of Efficiency Nodes, LoRA Manager and others. A stack has one strength "
        "for the whole U-Net: LoRAs whose rates differ from block to block are left out, and the node says so."
    )
    SEARCH_ALIASES = ["lora stack", "lora stacker", "efficiency", "lora manager"]
    RETURN_TYPES = (LORA_STACK,)
    RETURN_NAMES = ("lora_stack",)
    OUTPUT_TOOLTIPS = ("For any node that takes a LORA_STACK.",)
    FUNCTION = "make"
    OUTPUT_NODE = True

    @classmethod
    def INPUT_TYPES(cls) -> dict:
        return {
            "required": {"block_weights": FOUND},
            "optional": {"lora_stack": (LORA_STACK, {"tooltip": "A stack that these LoRAs are added to."})},
        }

    def make(self, block_weights: SearchResult, lora_stack: list | None = None) -> dict:
        found, warnings = [], []
        for weights in block_weights.block_weights:
            name, strengths = lora_name_of(source_of(weights).path), stackable(weights)
            if name.startswith(DEMO_PREFIX):
                warnings.append(f"{weights.name} comes with this pack and is in no loras folder, where other packs look for it. It is left out.")
            elif strengths is None:
                warnings.append(
                    f"{weights.name}: its rates go from {describe_rates(weights)}, and a stack has one strength for the whole U-Net. It is left "
                    "out. Put the file of Save LoRA with Block Weights into the stack, or search with Block Rules 'one rate for all'."
                )
            else:
                found.append(Stacked(name, *strengths))
        stack = [*(lora_stack or ()), *(entry.as_tuple() for entry in found)]
        return shown((stack,), [entry.in_words() for entry in found], warnings)

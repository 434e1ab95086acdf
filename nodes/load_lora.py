"""The node that loads a LoRA whose block weights are to be searched."""

from __future__ import annotations

from dataclasses import replace

from ..appl_search import LoraSource, SearchSettings
from ..appl_search.host.learnable import add_learnable
from ..appl_search.host.lora_loading import load
from ..appl_search.loras.rules import BlockRules
from ..appl_search.settings.declaration import LOADER
from .support.common import BLOCK_RULES, CATEGORY, shown
from .support.lora_files import lora_names, lora_path
from .support.widgets import widgets


class LoadLearnableLora:
    """Marks a LoRA for the search. Until it is searched, it acts as the stock loader's LoRA does at strength ``init``."""

    CATEGORY = CATEGORY
    DESCRIPTION = (
        "Loads a LoRA whose block weights are to be searched. Chain several to search them together. LoRAs of ordinary "
        "loaders, before or after, stay applied and are not searched. Sampled directly, the MODEL acts as with the "
        "ordinary loader at strength init."
    )
    SEARCH_ALIASES = ["lora", "load lora", "block weight", "lbw", "learnable lora"]
    RETURN_TYPES = ("MODEL", "CLIP")
    RETURN_NAMES = ("model", "clip")
    OUTPUT_TOOLTIPS = (
        "The MODEL with the learnable LoRA: for the next loader, for the search, or for a KSampler to see the LoRA at init.",
        "The CLIP with the LoRA's text-encoder part. Connect it to the search too when the LoRA has one.",
    )
    FUNCTION = "load"

    @classmethod
    def INPUT_TYPES(cls) -> dict:
        return {
            "required": {
                "model": ("MODEL", {"tooltip": "An SDXL model, with or without other LoRAs on it."}),
                "lora_name": (lora_names(), {"tooltip": "The LoRA to search block weights for. Those marked [demo] come with this pack and fit Tiny SDXL (Demo) only."}),
                **widgets(SearchSettings, LOADER)[0],
            },
            "optional": {
                "clip": ("CLIP", {"tooltip": "The checkpoint's CLIP. Needed for LoRAs that also train the text encoders (block BASE)."}),
                "block_rules": (BLOCK_RULES, {"tooltip": "From Block Rules: which blocks are searched, and which stay at a rate of your own or share one. All are searched without it."}),
            },
        }  # fmt: skip

    def load(self, model, lora_name: str, init: float, clip=None, block_rules: str = "") -> tuple | dict:
        lora = load(LoraSource(lora_path(lora_name)).loaded(), model, clip)
        rules = BlockRules.parse(block_rules, lora.layout.architecture)
        lora = replace(lora, source=rules.applied_to(lora.source, init))
        result = add_learnable(model, clip, lora, init)
        return shown(result, warnings=lora.notes) if lora.notes else result

"""The node that loads a LoRA whose block weights are to be searched."""

from __future__ import annotations

from ..appl_search import SearchSettings
from ..appl_search.settings.declaration import LOADER
from .support.common import CATEGORY, LORA_STACK, shown
from .support.learnable import CLIP, RULES, learnable, loaded
from .support.lora_files import lora_names
from .support.stacks import read_stack
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
                "clip": CLIP,
                "block_rules": RULES,
            },
        }  # fmt: skip

    def load(self, model, lora_name: str, init: float, clip=None, block_rules: str = "") -> tuple | dict:
        lora = loaded(lora_name, model, clip)
        result = learnable(model, clip, lora, init, block_rules)
        return shown(result, warnings=lora.notes) if lora.notes else result


class LoadLearnableStack:
    """Marks every LoRA of a stack for the search. Until then each acts at its strengths in the stack."""

    CATEGORY = CATEGORY
    DESCRIPTION = (
        "Loads all LoRAs of a LORA_STACK (of Efficiency Nodes, LoRA Manager, Comfyroll and others) whose block weights are to be "
        "searched together. The search starts from their strengths in the stack; sampled directly, the MODEL acts as with the "
        "stack itself."
    )
    SEARCH_ALIASES = ["lora stack", "apply lora stack", "lora stacker", "efficiency", "lora manager"]
    RETURN_TYPES = ("MODEL", "CLIP")
    RETURN_NAMES = ("model", "clip")
    OUTPUT_TOOLTIPS = (
        "The MODEL with the learnable LoRAs: for the next loader, for the search, or for a KSampler to see the stack as it is.",
        "The CLIP with the LoRAs' text-encoder parts. Connect it to the search too when they have one.",
    )
    FUNCTION = "load"

    @classmethod
    def INPUT_TYPES(cls) -> dict:
        return {
            "required": {
                "model": ("MODEL", {"tooltip": "An SDXL model, with or without other LoRAs on it."}),
                "lora_stack": (LORA_STACK, {"tooltip": "The LoRAs to search block weights for, from any node that makes a LORA_STACK."}),
            },
            "optional": {"clip": CLIP, "block_rules": RULES},
        }  # fmt: skip

    def load(self, model, lora_stack: list, clip=None, block_rules: str = "") -> dict:
        entries, notes = read_stack(lora_stack), []
        for entry in entries:
            lora = loaded(entry.name, model, clip)
            model, clip = learnable(model, clip, lora, entry.strength_model, block_rules, entry.strength_clip)
            notes += lora.notes
        return shown((model, clip), [entry.in_words() for entry in entries], notes)

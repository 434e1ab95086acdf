"""The node that writes block weights as strings for other programs."""

from __future__ import annotations

from ..appl_search import BlockWeights, SearchResult
from ..appl_search.loras.rules import BlockRules
from ..appl_search.weights.formats import FORMATS
from .support.common import CATEGORY, DEFAULT_FORMAT, FOUND, shown
from .support.summary import table


class BlockWeightsToString:
    """Writes one LoRA's rates in a chosen format, and in all formats."""

    CATEGORY = CATEGORY
    DESCRIPTION = (
        "Writes the block weights of one LoRA as another program reads them. A string for Inspire fits only the LoRA file it "
        "was made for. The node warns when a format cannot carry everything."
    )
    SEARCH_ALIASES = ["lbw string", "block weight vector", "inspire", "a1111", "export block weights"]
    RETURN_TYPES = ("STRING", "STRING")
    RETURN_NAMES = ("string", "all_formats")
    OUTPUT_TOOLTIPS = ("The block weights in the chosen format.", "The block weights in every format, with their names and warnings.")
    FUNCTION = "write"
    OUTPUT_NODE = True

    @classmethod
    def INPUT_TYPES(cls) -> dict:
        return {
            "required": {
                "block_weights": FOUND,
                "lora": ("INT", {"default": 1, "min": 1, "max": 100, "tooltip": "Which of the LoRAs that were searched together: 1 is the one loaded first."}),
                "format": (list(FORMATS), {"default": DEFAULT_FORMAT, "tooltip": "The program that is to read the string."}),
                "digits": ("INT", {"default": 3, "min": 1, "max": 8, "tooltip": "Decimals of each rate. 3 changes no rate by more than 0.0005."}),
            },
        }  # fmt: skip

    def write(self, block_weights: SearchResult, lora: int, format: str, digits: int) -> dict:
        weights, rules = _of_lora(block_weights, lora)
        string = weights.to_string(format, digits)
        warnings = FORMATS[format].warnings(weights)
        return shown((string, _all_formats(weights, rules, digits)), [string], warnings, table=table(weights))


def _of_lora(result: SearchResult, number: int) -> tuple[BlockWeights, BlockRules]:
    found = result.block_weights
    if not 1 <= number <= len(found):
        names = ", ".join(weights.name for weights in found)
        raise ValueError(f"lora is {number}, expected 1 to {len(found)}: these block weights are of {names}.")
    return found[number - 1], result.rules[number - 1]


def _all_formats(weights: BlockWeights, rules: BlockRules, digits: int) -> str:
    parts = [f"Not searched: {text}"] if (text := rules.text()) else []
    for name, format in FORMATS.items():
        warnings = [f"Note: {warning}" for warning in format.warnings(weights)]
        parts.append("\n".join([f"{name} ({format.label})", weights.to_string(name, digits), *warnings]))
    return "\n\n".join(parts)

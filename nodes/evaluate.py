"""Nodes that compare choices of block weights on pictures, without a search."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ..appl_search import SearchResult, SearchSettings, TrainingSet, compare
from ..appl_search.comparing.ranking import ranking, ranking_table
from .support.choices import Choice, as_rates, choice_of
from .support.common import BLOCK_WEIGHTS, CATEGORY, CHOICES, LORA_STACK, SETTINGS, TRAINING_IMAGES, shown
from .support.drawn import THEME, drawn, side
from .support.lora_files import lora_names

NO_LORA = "no LoRA"


class BlockWeightsChoice:
    """One of the choices that Evaluate Block Weights compares."""

    CATEGORY = CATEGORY
    DESCRIPTION = (
        "A choice of block weights for Evaluate Block Weights: a strength or a string for one LoRA, the result of a search, or a "
        "LORA_STACK. Connect one after the other for as many as you like."
    )
    SEARCH_ALIASES = ["candidate", "compare loras", "compare strengths"]
    RETURN_TYPES = (CHOICES,)
    RETURN_NAMES = ("choices",)
    OUTPUT_TOOLTIPS = ("This choice and those before it: for Evaluate Block Weights, or for the next choice.",)
    FUNCTION = "make"

    @classmethod
    def INPUT_TYPES(cls) -> dict:
        return {
            "required": {
                "name": ("STRING", {"default": "", "tooltip": "How the choice is called in the table. Empty: the LoRAs' names and the strength."}),
                "lora_name": (lora_names(), {"tooltip": "The LoRA that the text is for."}),
                "text": ("STRING", {"default": "", "tooltip": "A strength such as 0.8, or a string of block weights in any format. Empty with block_weights or a lora_stack."}),
            },
            "optional": {
                "block_weights": (BLOCK_WEIGHTS, {"tooltip": "Found by a search or loaded, with all its LoRAs: instead of the text."}),
                "lora_stack": (LORA_STACK, {"tooltip": "LoRAs with their strengths, instead of the text."}),
                "choices": (CHOICES, {"tooltip": "The choices before this one."}),
            },
        }  # fmt: skip

    def make(
        self, name: str, lora_name: str, text: str, block_weights: SearchResult | None = None, lora_stack: Any = None,
        choices: tuple[Choice, ...] = (),
    ) -> tuple:  # fmt: skip
        return ((*choices, choice_of(name, lora_name, text, block_weights, lora_stack)),)


class EvaluateBlockWeights:
    """Losses of choices on the same draws, as a table and a figure with intervals."""

    CATEGORY = CATEGORY
    DESCRIPTION = (
        "Compares choices of block weights on images: which of them brings the model closest, by how much, and how sure that is. No "
        "LoRA at all is always one of them. Use images that no search has seen, of what you want to make."
    )
    SEARCH_ALIASES = ["compare block weights", "is it better", "validation", "held out", "benchmark lora"]
    RETURN_TYPES = ("STRING", "IMAGE")
    RETURN_NAMES = ("table", "image")
    OUTPUT_TOOLTIPS = ("The choices in order, and each pair of them.", "By how much each loss is above the lowest, with 95% intervals.")
    FUNCTION = "evaluate"
    OUTPUT_NODE = True

    @classmethod
    def INPUT_TYPES(cls) -> dict:
        return {
            "required": {
                "model": ("MODEL", {"tooltip": "The model that the LoRAs are for, without them."}),
                "vae": ("VAE", {"tooltip": "The checkpoint's VAE, to encode the images."}),
                "training_images": (TRAINING_IMAGES, {"tooltip": "From Training Images: what the model should come closest to."}),
                "choices": (CHOICES, {"tooltip": "From Block Weights Choice: what is compared."}),
                "samples": ("INT", {"default": 128, "min": 2, "max": 100_000, "tooltip": "How often each choice is asked to denoise an image. Four times as many halve the intervals."}),
                "seed": ("INT", {"default": 0, "min": 0, "max": 2**64 - 1, "control_after_generate": True, "tooltip": "Of the noise and timesteps, which are the same for all choices."}),
                "theme": THEME,
                "width": side(800, 300),
                "height": side(360, 200),
            },
            "optional": {
                "clip": ("CLIP", {"tooltip": "The checkpoint's CLIP. It encodes the captions."}),
                "settings": (SETTINGS, {"tooltip": "From Search Settings (Advanced) or Noise and Loss: batch size, timesteps and loss."}),
            },
        }  # fmt: skip

    def evaluate(
        self, model, vae, training_images: TrainingSet, choices: tuple[Choice, ...], samples: int, seed: int, theme: str, width: int,
        height: int, clip=None, settings: SearchSettings | None = None,
    ) -> dict:  # fmt: skip
        settings = replace(settings or SearchSettings(), comparison=samples, seed=seed)
        sources, rates = as_rates(choices)
        without = {NO_LORA: [[0.0] * len(row) for row in next(iter(rates.values()))]}
        comparison = compare(model, clip, vae, sources, training_images, {**without, **rates}, settings)

        def figure_of(width: float, height: float) -> Any:
            from ..appl_search.report.comparison import draw_comparison

            return draw_comparison(comparison, theme, width, height)

        image, preview = drawn(figure_of, width, height)
        said, table = ranking(comparison), "\n".join(ranking_table(comparison))
        return shown((f"{said}\n\n{table}", image), [said, table], comparison.notes, images=[preview])

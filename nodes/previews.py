"""Which preview pictures a search makes."""

from __future__ import annotations

from ..appl_search import PreviewSettings
from ..appl_search.host import sampling
from .support.common import CATEGORY, PREVIEWS


class SearchPreviews:
    """PreviewSettings as a node."""

    CATEGORY = CATEGORY
    DESCRIPTION = (
        "Preview pictures while the search runs: always the same prompt and noise, with the block weights of the moment. "
        "Connect it to the search; the pictures appear in its panel and are saved beside the result."
    )
    SEARCH_ALIASES = ["preview", "progress pictures", "live preview", "block weight preview"]
    RETURN_TYPES = (PREVIEWS,)
    RETURN_NAMES = ("previews",)
    OUTPUT_TOOLTIPS = ("For the search node's input of this name.",)
    FUNCTION = "make"

    @classmethod
    def INPUT_TYPES(cls) -> dict:
        default = PreviewSettings("")
        return {
            "required": {
                "prompt": ("STRING", {"default": "", "multiline": True, "tooltip": "What to make pictures of. A searched LoRA may need its trigger word here."}),
                "negative": ("STRING", {"default": "", "multiline": True, "tooltip": "The negative prompt."}),
                "every": ("INT", {"default": default.every, "min": 1, "max": 1_000_000, "tooltip": "Samples of the search from one picture to the next. There is always one at the start, and one with what was found. A picture of 20 steps takes about as long as 15 samples of its size."}),
                "width": ("INT", {"default": default.width, "min": 64, "max": 8192, "step": 8, "tooltip": "Of the pictures, in pixels."}),
                "height": ("INT", {"default": default.height, "min": 64, "max": 8192, "step": 8, "tooltip": "Of the pictures, in pixels."}),
                "steps": ("INT", {"default": default.steps, "min": 1, "max": 1000, "tooltip": "Of the sampler, as in KSampler."}),
                "cfg": ("FLOAT", {"default": default.cfg, "min": 0.0, "max": 100.0, "step": 0.1, "tooltip": "Classifier-free guidance, as in KSampler."}),
                "sampler_name": (sampling.SAMPLERS, {"default": default.sampler, "tooltip": "As in KSampler."}),
                "scheduler": (sampling.SCHEDULERS, {"default": default.scheduler, "tooltip": "As in KSampler."}),
                "picture_seed": ("INT", {"default": default.seed, "min": 0, "max": 2**64 - 1, "tooltip": "Of the pictures' noise, as KSampler's seed. The search has a seed of its own."}),
            },
        }  # fmt: skip

    def make(
        self,
        prompt: str,
        negative: str,
        every: int,
        width: int,
        height: int,
        steps: int,
        cfg: float,
        sampler_name: str,
        scheduler: str,
        picture_seed: int,
    ) -> tuple[PreviewSettings]:
        return (PreviewSettings(prompt, negative, every, width, height, steps, cfg, sampler_name, scheduler, picture_seed),)

"""The node that saves LoRA files with their block weights multiplied in."""

from __future__ import annotations

from pathlib import Path

import folder_paths

from ..appl_search import SearchResult
from ..appl_search.host.lora_patches import differences
from ..appl_search.weights import bake
from .support.common import FOUND, SavesAFile, shown
from .support.files import write_new
from .support.matching import source_of

_ONE_EACH, _MERGED = "one file for each LoRA", "all merged into one file"
#: Losses below this part of the norm are not worth a word: rounding to fp16 makes 0.02%.
_TOLD = 5e-4
_OUTPUT, _LORAS = "output/loras", "loras"


class SaveBakedLora(SavesAFile):
    """Writes LoRA files that act at strength 1, in any loader, as the LoRA does at its block weights."""

    DESCRIPTION = (
        "Saves LoRA files with their block weights multiplied in: for programs that know no block weights. At strength 1 they "
        "act as Apply Block Weights does. Muted blocks are left out. It never overwrites a file."
    )
    SEARCH_ALIASES = ["bake lora", "merge lora", "save lora", "export lora"]
    RETURN_NAMES = ("paths",)
    OUTPUT_TOOLTIPS = ("The files that were written, one per line.",)

    @classmethod
    def INPUT_TYPES(cls) -> dict:
        return {
            "required": {
                "block_weights": FOUND,
                "files": ([_ONE_EACH, _MERGED], {"tooltip": "Several LoRAs can become one file that does what all of them do together."}),
                "rank": ("INT", {"default": 0, "min": 0, "max": 1024, "tooltip": "Of the merged file. 0 keeps the sum of all ranks and is exact; a smaller rank makes a smaller file, and the node tells what is lost."}),
                "name": ("STRING", {"default": "", "tooltip": "The file's name, to which a number is added. Empty: the LoRA's name and 'lbw'."}),
                "folder": ([_OUTPUT, _LORAS], {"tooltip": "ComfyUI's output folder, or its first loras folder, where loaders find it after a refresh (R)."}),
            },
            "optional": {
                "model": ("MODEL", {"tooltip": "Only for DoRA and OFT LoRAs, whose effect depends on the model: the one they were searched on."}),
                "clip": ("CLIP", {"tooltip": "Only for DoRA and OFT LoRAs with a text-encoder part."}),
            },
        }  # fmt: skip

    def save(self, block_weights: SearchResult, files: str, rank: int, name: str, folder: str, model=None, clip=None) -> dict:
        difference = differences(model, clip) if model is not None else None
        paths, text = save_baked(
            block_weights, in_loras=folder == _LORAS, name=name, merged=files == _MERGED, rank=rank or None, difference=difference
        )  # fmt: skip
        return shown(("\n".join(map(str, paths)),), text)


def save_baked(
    result: SearchResult, *, in_loras: bool, name: str = "", merged: bool = False, rank: int | None = None, difference: bake.Difference | None = None
) -> tuple[list[Path], list[str]]:  # fmt: skip
    """Writes the LoRA files of a result. Returns them, and a line for each that says so.

    ``in_loras``: in ComfyUI's first loras folder, else in its output folder. ``merged``: all LoRAs in one file, of this
    ``rank``, None for the sum of theirs. ``difference``: see :func:`appl_search.weights.bake.bake`. Raises ValueError for a
    LoRA that the user does not have any more, LoraError for one that cannot be baked, OSError.
    """
    pairs = [(source_of(weights), weights) for weights in result.block_weights]
    if merged:
        baked = [("+".join(weights.name for _, weights in pairs), bake.merge(pairs, rank))]
    else:
        baked = [(weights.name, bake.bake(source, weights, difference)) for source, weights in pairs]
    folder = Path(folder_paths.get_folder_paths("loras")[0]) if in_loras else Path(folder_paths.get_output_directory()) / "loras"
    paths, text = [], []
    for lora, file in baked:
        path = write_new(folder, name.strip() or f"{lora.replace('/', '_')}_lbw", ".safetensors", file.save)
        paths.append(path)
        text.append(f"Saved as {path}" + (f" (approximated: {file.error:.2%} of the norm is lost)" if file.error > _TOLD else ""))
    return paths, text

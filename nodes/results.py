"""Nodes that save results to ComfyUI's output folder and load them from there."""

from __future__ import annotations

from ..appl_search import SearchResult
from .support.common import BLOCK_WEIGHTS, CATEGORY, SavesAFile, shown
from .support.files import FOLDER, inside, load_result, result_folder, result_names, save_result
from .support.matching import check_files
from .support.summary import summary


class SaveResult(SavesAFile):
    """Writes BLOCK_WEIGHTS to a JSON file."""

    DESCRIPTION = f"Saves block weights, and how they were found, as a readable JSON file in output/{FOLDER}. It never overwrites one."
    SEARCH_ALIASES = ["save lbw", "export block weights", "save search result"]

    def save(self, block_weights: SearchResult, name: str) -> dict:
        path = str(save_result(block_weights, name))
        return shown((path,), [f"Saved as {path}"])


class LoadResult:
    """Reads BLOCK_WEIGHTS from a JSON file."""

    CATEGORY = CATEGORY
    DESCRIPTION = (
        f"Loads block weights that a search or Save Block Weights has written into output/{FOLDER}, and warns when a LoRA file "
        "is not the one they were found for."
    )
    SEARCH_ALIASES = ["load lbw", "import block weights", "load search result"]
    RETURN_TYPES = (BLOCK_WEIGHTS, "STRING")
    RETURN_NAMES = ("block_weights", "summary")
    OUTPUT_TOOLTIPS = ("As the search gave them: for strings, files and other nodes.", "What was found, in words.")
    FUNCTION = "load"

    @classmethod
    def INPUT_TYPES(cls) -> dict:
        tooltip = f"A JSON file in output/{FOLDER}, the newest first. Files of other people can be put there too."
        return {"required": {"file": (result_names(), {"tooltip": tooltip})}}

    @classmethod
    def IS_CHANGED(cls, file: str) -> int:
        return inside(result_folder(), file, ".json").stat().st_mtime_ns

    def load(self, file: str) -> dict:
        result = load_result(file)
        text = summary(result)
        return shown((result, text), [text], check_files(result))

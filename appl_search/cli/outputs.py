"""What a search leaves in its folder."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from PIL import Image
from torch import Tensor

from ..gradients.task import Task
from ..report.tables import table
from ..searching.result import SearchResult
from ..weights.bake import bake
from ..weights.formats import FORMATS
from ..weights.script_file import SUFFIX, write_script_file
from ..whole_files import written_whole

UNFINISHED = "unfinished"  # the folder of states


class Outputs:
    """Files of a search in ``folder``, all of which begin with ``name``.

    Raises ValueError where the result of another search has that name, unless it may be overwritten.
    """

    def __init__(self, folder: Path, name: str, overwrite: bool):
        if Path(name).name != name or not name:
            raise ValueError(f"--name is {name!r}, expected the beginning of file names, without a folder.")
        self.folder, self.name = folder, name
        result = self.path(".json")
        if result.exists() and not overwrite:
            raise ValueError(f"{result} exists already. Choose another --name, or give --overwrite.")
        folder.mkdir(parents=True, exist_ok=True)

    def path(self, ending: str) -> Path:
        return self.folder / f"{self.name}{ending}"

    def save_preview(self, samples: int, number: int, pixels: Tensor) -> None:
        """``pixels`` [h, w, 3] in 0..1."""
        as_picture(pixels).save(self.path(f"_preview_{number}_{samples:05d}.png"))

    def save_partial(self, result: SearchResult) -> Path:
        """What was found before the search was ended."""
        path = self.path(".partial.json")
        _write(path, result.to_json())
        return path

    def save(self, result: SearchResult, pictures: Mapping[str, Sequence[Image.Image]]) -> list[Path]:
        """The result, its strings, figures and report, and the published script's file. Returns what was written."""
        self.path(".partial.json").unlink(missing_ok=True)
        _write(self.path(".json"), result.to_json())  # first: whatever happens to the rest, the search is not lost
        _write(self.path(".txt"), _strings(result))
        write_script_file(self.path(SUFFIX), result.block_weights)
        written = [self.path(ending) for ending in (".json", ".txt", SUFFIX)]
        from ..report.figures import ALL, draw  # these need matplotlib
        from ..report.html import html_report

        height = 1.9 * len(result.block_weights) + 9.0
        with written_whole(self.path(".png")) as temporary:
            draw(result, ALL, "light", 8.6, height).savefig(temporary, format="png")
        _write(self.path(".html"), html_report(result, pictures, {}))
        return [*written, self.path(".png"), self.path(".html")]

    def save_baked(self, task: Task, result: SearchResult) -> list[Path]:
        """Each LoRA as a file with what was found multiplied in."""
        from ..host.lora_patches import differences

        difference = differences(task.models.model, task.models.clip)
        written = []
        for source, weights in zip(task.loras, result.block_weights):
            name = re.sub(r"[^\w.-]+", "_", weights.name)
            path = self.path(f"_{name}{SUFFIX}")
            bake(source, weights, difference).save(path)
            written.append(path)
        return written


def as_picture(pixels: Tensor) -> Image.Image:
    """Of pixels [h, w, 3] in 0..1."""
    return Image.fromarray((pixels.clamp(0, 1) * 255).round().byte().numpy())


def _strings(result: SearchResult) -> str:
    parts = []
    for weights in result.block_weights:
        lines = [f"{name}: {weights.to_string(name)}" for name in FORMATS]
        parts.append("\n".join([weights.name, *table(weights), "", *lines]))
    return "\n\n".join(parts) + "\n"


def _write(path: Path, text: str) -> None:
    with written_whole(path) as temporary:
        temporary.write_text(text, encoding="utf-8")

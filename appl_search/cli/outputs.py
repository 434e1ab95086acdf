"""What a search leaves in its folder."""

from __future__ import annotations

import itertools
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
ENDINGS = (".json", ".txt", SUFFIX, ".png", ".html")  # of the files that every search leaves


class Outputs:
    """Files of a search in ``folder``, all of which begin with ``name``.

    Raises ValueError where files of another search have that name, unless they may be overwritten.
    """

    def __init__(self, folder: Path, name: str, overwrite: bool):
        if Path(name).name != name or not name:
            raise ValueError(f"--name is {name!r}, expected the beginning of file names, without a folder.")
        self.folder, self.name, self._overwrite = folder, name, overwrite
        self._check([self.path(ending) for ending in ENDINGS], ())
        folder.mkdir(parents=True, exist_ok=True)

    def check(self, task: Task, inputs: Sequence[Path], with_baked: bool) -> None:
        """Raises ValueError where a file that will be written is there already, or is one that the search reads."""
        paths = [self.path(ending) for ending in ENDINGS] + (self._baked_paths(task) if with_baked else [])
        self._check(paths, [*inputs, *(Path(source.path) for source in task.loras)])

    def _check(self, paths: Sequence[Path], inputs: Sequence[Path]) -> None:
        read = {path.resolve() for path in inputs}
        for path in paths:
            if path.resolve() in read:
                raise ValueError(f"{path} is a file that the search reads, and would be overwritten. Choose another --name or --output.")
            if path.exists() and not self._overwrite:
                raise ValueError(f"{path} exists already. Choose another --name, or give --overwrite.")

    def _baked_paths(self, task: Task) -> list[Path]:
        """A file for each LoRA, none for two of them: names lose the signs that file names cannot have."""
        paths: list[Path] = []
        for source in task.loras:
            name = re.sub(r"[^\w.-]+", "_", source.name)
            names = itertools.chain([name], (f"{name}_{number}" for number in itertools.count(2)))
            paths.append(next(path for path in (self.path(f"_{each}{SUFFIX}") for each in names) if path not in paths))
        return paths

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
        from ..report.figures import ALL, draw, height_of  # these need matplotlib
        from ..report.html import html_report

        with written_whole(self.path(".png")) as temporary:
            draw(result, ALL, "light", 8.6, height_of(result, ALL)).savefig(temporary, format="png")
        _write(self.path(".html"), html_report(result, pictures, {}))
        return [self.path(ending) for ending in ENDINGS]

    def save_baked(self, task: Task, result: SearchResult) -> list[Path]:
        """Each LoRA as a file with what was found multiplied in."""
        from ..host.lora_patches import differences

        difference = differences(task.models.model, task.models.clip)
        written = self._baked_paths(task)
        for path, source, weights in zip(written, task.loras, result.block_weights):
            bake(source, weights, difference).save(path)
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

"""Results in ComfyUI's output folder, under names that never overwrite a file."""

from __future__ import annotations

import itertools
from pathlib import Path

import folder_paths

from ...appl_search import SearchResult

FOLDER = "block_weights"
_LONGEST_NAME = 100


def result_folder() -> Path:
    """Where results are saved and looked for."""
    return Path(folder_paths.get_output_directory()) / FOLDER


def report_folder() -> Path:
    """Where reports are saved."""
    return result_folder() / "reports"


def inside(folder: Path, file: str, suffix: str) -> Path:
    """The path of a file that the page asks for: it may ask for anything. ValueError when it is not below the folder."""
    path = (folder / file).resolve()
    if not path.is_relative_to(folder.resolve()) or path.suffix != suffix:
        raise ValueError(f"{file!r} is no {suffix} file in {folder}.")
    return path


def create_unique(folder: Path, stem: str, suffix: str) -> Path:
    """A new, empty file ``stem_00001.suffix`` or the next free number, and its folder.

    ``stem`` may name folders inside ``folder``; ValueError when it leads out of it.
    """
    target = (folder / stem).resolve()
    if not target.is_relative_to(folder.resolve()) or target == folder.resolve():
        raise ValueError(f"The name {stem!r} leads out of {folder}. Expected a file name, with folders inside that one at most.")
    target.parent.mkdir(parents=True, exist_ok=True)
    candidates = (target.with_name(f"{target.name}_{number:05}{suffix}") for number in itertools.count(1))
    path = next(path for path in candidates if not path.exists())
    path.touch(exist_ok=False)
    return path


def save_result(result: SearchResult, name: str = "") -> Path:
    """Writes a result as JSON; without a ``name`` it is named after its LoRAs."""
    stem = name.strip() or "+".join(weights.name for weights in result.block_weights)[:_LONGEST_NAME]
    text = result.to_json()
    path = create_unique(result_folder(), stem, ".json")
    path.write_text(text, encoding="utf-8")
    return path


def result_names() -> list[str]:
    """All saved results by their path inside :func:`result_folder`, the newest first."""
    folder = result_folder()
    files = sorted(folder.rglob("*.json"), key=lambda path: path.stat().st_mtime, reverse=True)
    return [path.relative_to(folder).as_posix() for path in files]


def load_result(name: str) -> SearchResult:
    """A result of :func:`result_names`. Raises ValueError with the file's path when it cannot be read."""
    path = result_folder() / name
    if not path.is_file():
        raise ValueError(f"There is no saved result {path}. Put the file there, refresh the page (R) and choose it again.")
    try:
        return SearchResult.from_json(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error

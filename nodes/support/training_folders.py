"""Folders that training images may come from: those in ComfyUI's input folder, and those that the user names.

Workflows come from anyone, so no path leads out of these folders. A link inside them is the user's own and is followed.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import folder_paths

from ...appl_search import TrainingOptions
from ...appl_search.images.dataset_file import read_subsets

#: The name in extra_model_paths.yaml.
KIND = "training_images"
_DEEPEST = 3  # folders inside each other that are listed
_MOST = 1000  # names in the list


def names() -> list[str]:
    """Folders and dataset files (.toml) for a widget: by their path in the input folder, those of other places by their whole path."""
    found: list[str] = []
    for root in _roots():
        is_input = root == _input()
        for folder, folders, files in os.walk(root, followlinks=True):
            depth = len(Path(folder).relative_to(root).parts)
            if depth >= _DEEPEST or len(found) >= _MOST:
                folders.clear()
            folders.sort()
            here = [Path(folder)] if depth or not is_input else []
            here += [Path(folder, file) for file in sorted(files) if file.lower().endswith(".toml")]
            found += [path.relative_to(root).as_posix() if is_input else path.as_posix() for path in here]
    return found[:_MOST]


def path_of(name: str) -> Path:
    """The folder or file behind a name of :func:`names`. Raises ValueError when it lies elsewhere."""
    path = Path(os.path.abspath(_input() / name))
    check(path)
    return path


def check(path: Path) -> None:
    """Raises ValueError for a path outside the allowed folders."""
    if not any(Path(os.path.abspath(path)).is_relative_to(root) for root in _roots()):
        raise ValueError(
            f"{path} lies outside of ComfyUI's input folder ({_input()}). Put the images there, or name their folder as {KIND} in "
            "extra_model_paths.yaml."
        )


def fingerprint(name: str) -> str:
    """Changes whenever a file changes that the training images of this name depend on."""
    path = path_of(name)
    folders = [path]
    if path.suffix.lower() == ".toml":
        subsets, _ = read_subsets(path, TrainingOptions())
        named = (each for subset in subsets for each in (subset.folder, subset.masks, subset.metadata))
        folders += [each for each in named if each is not None]
    state = hashlib.sha256()
    for each in folders:
        check(each)
        files = (
            [each]
            if each.is_file()
            else sorted(Path(where, file) for where, _, files in os.walk(each) for file in files)
        )
        for file in files:
            about = file.stat()
            state.update(f"{file}|{about.st_size}|{about.st_mtime_ns}\n".encode())
    return state.hexdigest()


def _input() -> Path:
    return Path(os.path.abspath(folder_paths.get_input_directory()))


def _roots() -> list[Path]:
    named = folder_paths.get_folder_paths(KIND) if KIND in folder_paths.folder_names_and_paths else []
    return [_input(), *(Path(os.path.abspath(folder)) for folder in named)]

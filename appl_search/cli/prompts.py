"""A file of prompts for preview pictures, one on each line, as sd-scripts reads its --sample_prompts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..settings import PreviewSettings

#: What stands behind " --" on a line (sd-scripts, library/train_util.py, line_to_prompt_dict), and our setting.
_OPTIONS: dict[str, tuple[str, Callable[[str], Any]]] = {
    "n": ("negative", str),
    "w": ("width", int),
    "h": ("height", int),
    "d": ("seed", int),
    "s": ("steps", int),
    "l": ("cfg", float),
    "ss": ("sampler", str),
}


def read_prompts(path: Path, shared: PreviewSettings) -> Iterator[PreviewSettings]:
    """The pictures that a file asks for. ``shared``: what a line says nothing about.

    Empty lines and those that begin with # do not count. Raises ValueError with the file and the line.
    """
    try:
        lines = path.read_bytes().decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not in UTF-8 (byte {error.start}). Save it as UTF-8.") from None
    wanted = [(number, line.strip()) for number, line in enumerate(lines, 1) if line.strip() and not line.strip().startswith("#")]
    if not wanted:
        raise ValueError(f"{path} has no prompt.")
    for number, line in wanted:
        yield _picture(line, shared, f"{path}, line {number}")


def _picture(line: str, shared: PreviewSettings, where: str) -> PreviewSettings:
    prompt, *options = line.split(" --")
    changes: dict[str, Any] = {"prompt": prompt.strip()}
    for option in options:
        name, _, value = option.strip().partition(" ")
        if name.lower() not in _OPTIONS:
            raise ValueError(f"{where}: there is no option --{name}. Expected {', '.join(f'--{each}' for each in _OPTIONS)}.")
        setting, kind = _OPTIONS[name.lower()]
        try:
            changes[setting] = kind(value.strip())
        except ValueError:
            raise ValueError(f"{where}: --{name} is {value!r}, expected a number.") from None
    try:
        return replace(shared, **changes)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from error

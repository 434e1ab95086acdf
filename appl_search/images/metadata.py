"""The files in which kohya's tools keep captions: .json of its taggers and bucket scripts, and .jsonl."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .options import TrainingOptions


@dataclass(frozen=True)
class Entry:
    """A picture's file and its caption; None: it is to be looked for beside the picture."""

    path: Path
    caption: str | None


def read_metadata(
    path: Path, folder: Path, files: Sequence[Path], options: TrainingOptions
) -> tuple[list[Entry], list[str]]:
    """(entries in the file's order, names of those without a picture in ``files``).

    A picture is named by its whole path, or by its path in ``folder`` with or without extension. Its caption is the
    entry's caption with its tags behind it, as sd-scripts' FineTuningDataset joins them.
    Raises ValueError with the file's path for one that cannot be read.
    """
    by_name: dict[str, Path] = {}
    for file in files:
        inside = file.relative_to(folder)
        for name in (
            str(file),
            file.resolve().as_posix(),
            inside.as_posix(),
            str(inside),
            inside.with_suffix("").as_posix(),
        ):
            by_name.setdefault(name, file)
    entries, missing = [], []
    for name, about in _about_pictures(path).items():
        file = by_name.get(name) or by_name.get(str(Path(name).with_suffix("")))
        if file is None:
            missing.append(name)
        else:
            entries.append(Entry(file, _caption(about, f"{path}, {name}", options)))
    return entries, missing


def _about_pictures(path: Path) -> dict[str, dict[str, Any]]:
    try:
        text = path.read_bytes().decode("utf-8-sig")
        if path.suffix.lower() == ".jsonl":
            lines = [json.loads(line) for line in text.split("\n") if line.strip()]
            found = {line["image_path"]: line for line in lines}
        else:
            found = json.loads(text)
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error}.") from error
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is no metadata file of kohya's tools: {str(error)[:200]}.") from error
    except (KeyError, TypeError) as error:
        raise ValueError(f'{path} has a line that names no picture, expected "image_path" in each.') from error
    if not isinstance(found, dict) or not all(isinstance(about, dict) for about in found.values()):
        raise ValueError(
            f'{path} is no metadata file of kohya\'s tools, expected {{"picture": {{"caption": ..., "tags": ...}}, ...}}.'
        )
    return found


def _caption(about: dict[str, Any], where: str, options: TrainingOptions) -> str:
    caption, tags = about.get("caption") or "", about.get("tags") or ""
    for name, value in (("caption", caption), ("tags", tags)):
        if not isinstance(value, str):
            raise ValueError(f"{where}: {name} is {str(value)[:80]!r}, expected text.")
    if not tags:
        return caption
    if options.wildcards:
        tags = tags.replace("\n", options.separator)
        return "\n".join(f"{line}{options.separator}{tags}" for line in caption.split("\n") if line.strip())
    return f"{caption}{options.separator}{tags}" if caption else tags

"""LoRA files by the names that widgets show: the user's own, and the demo's."""

from __future__ import annotations

from pathlib import Path

import folder_paths

from ...appl_search import LoraError, demo

DEMO_PREFIX = "[demo] "


def lora_names() -> list[str]:
    """The user's LoRAs as ComfyUI lists them, then the demo's."""
    return [*folder_paths.get_filename_list("loras"), *(DEMO_PREFIX + name for name in demo.lora_paths())]


def lora_path(name: str) -> Path:
    """The file behind a name of :func:`lora_names`. Raises LoraError when there is none (any more)."""
    if name.startswith(DEMO_PREFIX):
        path = demo.lora_paths().get(name.removeprefix(DEMO_PREFIX))
    else:
        path = folder_paths.get_full_path("loras", name)
    if path is None:
        raise LoraError(
            f"There is no LoRA {name!r}. Put the file into one of ComfyUI's loras folders, refresh the page (R) and choose it again."
        )
    return Path(path)


def lora_name_of(path: Path) -> str:
    """The name of :func:`lora_names` behind which a file is. Raises LoraError when there is none (any more)."""
    for name in lora_names():
        if lora_path(name) == path:
            return name
    raise LoraError(f"The LoRA {path} is in none of ComfyUI's loras folders any more. Put it back and refresh the page (R).")


def lora_paths_of_stem(name: str) -> list[Path]:
    """All LoRA files of a LoRA's name, which is a file's name without ending and may have folders in front."""
    folders, _, stem = name.rpartition("/")
    paths = [path for path in map(lora_path, lora_names()) if path.stem == stem]
    return [path for path in paths if path.parent.as_posix().endswith(folders)] or paths

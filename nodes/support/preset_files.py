"""Where presets of block weights are: in ComfyUI's user folder, and in the Inspire Pack if it is installed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import folder_paths

from ...appl_search.weights.formats.inspire_presets import PresetFile
from .common import log

USER, INSPIRE = "user folder", "Inspire Pack"
PLACES = (USER, INSPIRE)
_CUSTOM, _SHIPPED = "lbw-preset.custom.txt", "lbw-preset.txt"


def preset_path(place: str) -> Path:
    """The file of one of PLACES that presets are saved into. Raises ValueError for that of the Inspire Pack where it is not."""
    if place == USER:
        return Path(folder_paths.get_user_directory()) / "appl_search" / _CUSTOM
    resources = _inspire_resources()
    if resources is None:
        raise ValueError(f"The Inspire Pack is not installed in ComfyUI's custom_nodes. Choose {USER!r}, or install the pack.")
    return resources / _CUSTOM


def preset_files() -> list[tuple[Path, PresetFile]]:
    """Every file of presets that there is, those whose presets count more in front. Raises OSError where one cannot be read."""
    return [(path, PresetFile.read(path)) for path in _paths() if path.is_file()]


def preset_names() -> list[str]:
    """The names of all presets, each once. A file that cannot be read must not hide all of ComfyUI's nodes."""
    try:
        return list(dict.fromkeys(name for _, file in preset_files() for name in file.presets))
    except OSError as error:
        log.warning("Presets: %s", error)
        return []


def _paths() -> Iterator[Path]:
    yield preset_path(USER)
    if (resources := _inspire_resources()) is not None:
        yield from (resources / name for name in (_CUSTOM, _SHIPPED))


def _inspire_resources() -> Path | None:
    """The pack's folder of presets, wherever in custom_nodes and under whatever name it was put."""
    for folder in folder_paths.get_folder_paths("custom_nodes"):
        for source in sorted(Path(folder).glob("*/inspire/lora_block_weight.py")):
            return source.parents[1] / "resources"
    return None

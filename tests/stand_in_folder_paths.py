"""Stands in for ComfyUI's module `folder_paths`, which the embedded host lacks: one folder of LoRAs, one for output."""

from __future__ import annotations

from pathlib import Path

#: Where `loras` and `output` are; a test that needs files points it at a folder of its own.
root = Path("/there/is/no/such/folder")

#: What extra_model_paths.yaml adds, by kind.
folder_names_and_paths: dict[str, list[str]] = {}


def get_filename_list(kind: str) -> list[str]:
    return sorted(path.relative_to(root / kind).as_posix() for path in (root / kind).rglob("*.safetensors"))


def get_full_path(kind: str, name: str) -> str | None:
    path = root / kind / name
    return str(path) if path.is_file() else None


def get_output_directory() -> str:
    return str(root / "output")


def get_input_directory() -> str:
    return str(root / "input")


def get_temp_directory() -> str:
    return str(root / "temp")


def get_user_directory() -> str:
    return str(root / "user")


def get_folder_paths(kind: str) -> list[str]:
    return folder_names_and_paths.get(kind, [str(root / kind)])

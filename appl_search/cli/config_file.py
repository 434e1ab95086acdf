"""Options from a TOML file, as if they had been given in front of those of the command line."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..images.dataset_file import read_toml

_OPTIONS = ("--config", "--config-file", "--config_file")


def with_config(arguments: Sequence[str]) -> list[str]:
    """The arguments, with those of the file that --config names in front. Tables of the file only put options in order.

    ".toml" may be left out. Raises ValueError with the file and the option for what no option can be.
    """
    rest, path = _split(arguments)
    if path is None:
        return rest
    if path.suffix != ".toml":
        path = path.with_name(f"{path.name}.toml")
    return _arguments(read_toml(path), path) + rest


def _split(arguments: Sequence[str]) -> tuple[list[str], Path | None]:
    rest, path, left = [], None, list(arguments)
    while left:
        argument = left.pop(0)
        name, has_value, value = argument.partition("=")
        if name not in _OPTIONS:
            rest.append(argument)
            continue
        if not has_value and (not left or left[0].startswith("--")):
            raise ValueError(f"{name} needs the name of a file.")
        path = Path(value if has_value else left.pop(0))
    return rest, path


def _arguments(table: dict[str, Any], path: Path) -> list[str]:
    found: list[str] = []
    for name, value in table.items():
        if isinstance(value, dict):
            found += _arguments(value, path)
        elif isinstance(value, bool):
            found.append(f"--{name}" if value else f"--no-{name}")
        elif isinstance(value, list):
            if not all(isinstance(each, (str, int, float)) for each in value):
                raise ValueError(f"{path}: {name} is {str(value)[:80]}, expected a list of texts or numbers.")
            found += [f"--{name}", *map(str, value)]
        elif isinstance(value, (str, int, float)):
            found.append(f"--{name}={value}")
        else:
            raise ValueError(f"{path}: {name} is {str(value)[:80]!r}, expected a text, a number, true, false or a list.")
    return found

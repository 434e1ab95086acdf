"""A command line of the published script in our words."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from .script_table import SCRIPT, Already, Changed, Meaning, Refused, Renamed


def in_our_words(arguments: Sequence[str], ours: Sequence[str]) -> list[str]:
    """The arguments with the script's options in our words. ``ours``: all options that there are, such as --batch-size.

    Underscores may stand for dashes. Raises ValueError by name for an option that has no meaning here or is unknown.
    """
    early: list[str] = []
    out: list[str] = []
    for option, values in _options(arguments):
        if option is None:
            out += values
            continue
        name = option.replace("_", "-")
        if f"--{name}" in ours:
            out += _given(name, values)
            continue
        meaning, is_off = _meaning(option.replace("-", "_"), name, ours)
        if isinstance(meaning, Renamed):
            out += _given(f"no-{meaning.ours}" if is_off else meaning.ours, values)
        elif isinstance(meaning, Changed) and not is_off:
            (early if meaning.early else out).extend(meaning.change(values))
        elif isinstance(meaning, Already) and meaning.only and not set(values) <= set(meaning.only):
            raise ValueError(f"--{option} {' '.join(values)} has no meaning here. Expected {', '.join(meaning.only)}, or leave it out: {meaning.why}.")
        elif isinstance(meaning, Refused) and not is_off:
            raise ValueError(f"--{option} has no meaning here. {meaning.instead}")
    return early + out


def _given(name: str, values: Sequence[str]) -> list[str]:
    return [f"--{name}={values[0]}"] if len(values) == 1 else [f"--{name}", *values]


def _meaning(key: str, name: str, ours: Sequence[str]) -> tuple[Meaning, bool]:
    """(what an option of the script means, whether it is switched off)."""
    if key in SCRIPT:
        return SCRIPT[key], False
    if key.startswith("no_") and key[3:] in SCRIPT:
        return SCRIPT[key[3:]], True
    near = difflib.get_close_matches(f"--{name}", [*ours, *(f"--{each}" for each in SCRIPT)], 1)
    hint = f" Did you mean {near[0]}?" if near else ""
    raise ValueError(f"There is no option --{name}.{hint} See search --help.")


def _options(arguments: Sequence[str]) -> list[tuple[str | None, list[str]]]:
    """(option without its dashes, its values); None for what stands before the first option."""
    found: list[tuple[str | None, list[str]]] = [(None, [])]
    for argument in arguments:
        if argument.startswith("--") and len(argument) > 2:
            name, has_value, value = argument[2:].partition("=")
            found.append((name, [value] if has_value else []))
        elif argument == "-h":
            found.append(("help", []))
        else:
            found[-1][1].append(argument)
    return found

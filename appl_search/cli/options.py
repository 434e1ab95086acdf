"""Settings as options of a command: the options that a parser gets, and the settings from what was given."""

from __future__ import annotations

import argparse
from typing import Any, TypeVar

from ..settings.declaration import MISSING, Setting, declared

T = TypeVar("T")


def add_settings(parser: argparse.ArgumentParser, settings: type, title: str) -> None:
    """Adds an option for every setting of a class, such as --batch-size, in a group with this title."""
    group = parser.add_argument_group(title)
    for setting in declared(settings):
        group.add_argument(f"--{setting.name.replace('_', '-')}", dest=setting.name, **_option(setting))


def given_settings(options: argparse.Namespace, settings: type[T]) -> T:
    """The settings that the options say. ValueError for a value that is not allowed."""
    return settings(**{setting.name: setting.read(getattr(options, setting.name)) for setting in declared(settings)})


def _option(setting: Setting) -> dict[str, Any]:
    is_required = setting.default is MISSING
    default = None if is_required else setting.shown(setting.default)
    note = "" if is_required else " (none)" if default is None else " (%(default)s)"
    option = {"default": default, "required": is_required, "help": setting.help.replace("%", "%%") + note}
    if setting.kind is bool:
        return {**option, "action": argparse.BooleanOptionalAction}
    return {**option, "type": setting.kind, "choices": setting.choices or None}

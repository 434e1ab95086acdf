"""Settings as options of a command: the options that a parser gets, and the settings from what was given."""

from __future__ import annotations

import argparse
from collections.abc import Collection
from typing import Any, TypeVar

from ..settings.declaration import MISSING, Setting, declared

T = TypeVar("T")
_METAVARS = {int: "N", float: "NUMBER", str: "TEXT"}


def add_settings(
    parser: argparse.ArgumentParser, settings: type, title: str, prefix: str = "", leave_out: Collection[str] = ()
) -> None:
    """Adds an option for every setting of a class, such as --batch-size, in a group with this title.

    ``prefix``: of their names, such as "preview-". ``leave_out``: those that come from elsewhere.
    """
    group = parser.add_argument_group(title)
    for setting in declared(settings):
        if setting.name not in leave_out:
            name = f"{prefix}{setting.name}".replace("_", "-")
            group.add_argument(f"--{name}", dest=name.replace("-", "_"), **_option(setting))


def given_settings(options: argparse.Namespace, settings: type[T], prefix: str = "", **others: Any) -> T:
    """The settings that the options say; ``others``: those that come from elsewhere. ValueError for a value that is not allowed."""
    given = {
        setting.name: setting.read(getattr(options, f"{prefix}{setting.name}".replace("-", "_")))
        for setting in declared(settings)
        if setting.name not in others
    }
    return settings(**given, **others)


def _option(setting: Setting) -> dict[str, Any]:
    is_required = setting.default is MISSING
    default = None if is_required else setting.shown(setting.default)
    note = "" if is_required else f" ({_in_words(default)})"
    option = {"default": default, "required": is_required, "help": setting.help.replace("%", "%%") + note}
    if setting.kind is bool:
        return {**option, "action": argparse.BooleanOptionalAction}
    return {**option, "type": setting.kind, "choices": setting.choices or None, "metavar": None if setting.choices else _METAVARS[setting.kind]}


def _in_words(default: Any) -> str:
    if isinstance(default, bool):
        return "on" if default else "off"
    return "none" if default in (None, "") else str(default).replace("%", "%%")

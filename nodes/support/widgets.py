"""Settings as a node's widgets: the inputs that it declares, and the settings from what it is given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...appl_search.settings.declaration import MISSING, Setting, declared
from .common import CATEGORY

_KINDS = {int: "INT", float: "FLOAT", str: "STRING", bool: "BOOLEAN"}
_LIMITS = {"min": "minimum", "max": "maximum", "step": "step"}  # an option of a widget: where Setting has it

Inputs = dict[str, tuple]


class MakesSettings:
    """What the nodes have in common that make settings of their widgets: a class of settings, and which group of it."""

    CATEGORY = CATEGORY
    OUTPUT_TOOLTIPS = ("For the search node's input of this name.",)
    FUNCTION = "make"
    SETTINGS: type
    GROUP: str

    @classmethod
    def choices(cls) -> dict[str, Sequence[str]]:
        """Those that ComfyUI has, by the settings' names."""
        return {}

    @classmethod
    def INPUT_TYPES(cls) -> dict:
        required, optional = widgets(cls.SETTINGS, cls.GROUP, cls.choices())
        return {"required": required, "optional": optional}

    def make(self, **inputs: Any) -> tuple:
        return (self.SETTINGS(**given(self.SETTINGS, self.GROUP, inputs)),)


def widgets(settings: type, group: str, choices: Mapping[str, Sequence[str]] = {}) -> tuple[Inputs, Inputs]:  # noqa: B006
    """The required and the optional inputs that show a group of a settings class.

    ``choices``: of settings that ComfyUI has the choices for, by their names.
    """
    required: Inputs = {}
    optional: Inputs = {}
    for setting in _of_group(settings, group):
        inputs = optional if setting.added_later else required
        if setting.switch is not None:
            inputs[setting.switch.name] = ("BOOLEAN", {"default": False, "tooltip": setting.switch.help})
        inputs[setting.widget_name] = _widget(setting, choices.get(setting.name, setting.choices))
    return required, optional


def given(settings: type, group: str, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a group by their names, from a node's inputs; those without an input are left out.

    Raises TypeError for an input that is none of the group's.
    """
    required, optional = widgets(settings, group)
    if unknown := set(inputs) - set(required) - set(optional):
        expected = ", ".join([*required, *optional])
        raise TypeError(f"There is no input named {', '.join(sorted(unknown))}. Expected {expected}.")
    values = {}
    for setting in _of_group(settings, group):
        if setting.widget_name in inputs:
            is_on = setting.switch is None or inputs[setting.switch.name]
            values[setting.name] = setting.read(inputs[setting.widget_name]) if is_on else None
    return values


def _of_group(settings: type, group: str) -> list[Setting]:
    return [setting for setting in declared(settings) if setting.group == group]


def _widget(setting: Setting, choices: Sequence[str]) -> tuple:
    """An input of a node, as ComfyUI's INPUT_TYPES has them."""
    options: dict[str, Any] = {}
    if setting.default is not MISSING:
        options["default"] = setting.shown(setting.default)
    if setting.kind in (int, float):
        limits = {name: getattr(setting, attribute) for name, attribute in _LIMITS.items()}
        options |= {name: limit for name, limit in limits.items() if limit is not None}
    tooltip = setting.help if setting.switch is None else f"{setting.help} Only with {setting.switch.name}."
    return (list(choices) if choices else _KINDS[setting.kind], {**options, **setting.widget, "tooltip": tooltip})

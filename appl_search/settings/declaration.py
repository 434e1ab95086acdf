"""How a setting is declared: once, as a field of a dataclass. Its check, widget, command-line option and help come from it."""

from __future__ import annotations

import math
import types
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields, replace
from functools import cache
from typing import Any, get_args, get_type_hints

#: Groups: where a setting is shown to users of ComfyUI. The command line has all of them.
SEARCH = "search"  # widgets of the search node
ADVANCED = "advanced"  # widgets of the search's settings node
LOADER = "loader"  # a widget of each LoRA's loader
NOISE = "noise"  # widgets of the node for noise and loss
PREVIEWS = "previews"  # widgets of the node for preview pictures
TRAINING = "training"  # widgets of the node that prepares training images

_KEY = "setting"


@dataclass(frozen=True)
class Switch:
    """A checkbox that one or more settings share: they are None as long as it is off."""

    name: str
    help: str


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What is declared of a setting; see :func:`setting` and :func:`declared`.

    ``minimum``, ``above``, ``maximum``, ``multiple_of``, ``choices``: what is allowed, for everybody. ``widget``:
    further options of its widget, by ComfyUI's names; its "min" and "max" narrow what the widget offers, and its
    "default" stands in for a missing one. ``widget_name``: where it differs from the field's.
    ``none_as``: the number that stands for None in a widget and on the command line. ``switch``: the checkbox beside
    the widget that makes it None. ``added_later``: saved workflows of older versions lack it, so its widget is an
    optional input.
    """

    help: str
    group: str
    minimum: float | None = None
    above: float | None = None
    maximum: float | None = None
    multiple_of: int | None = None
    step: float | None = None
    choices: Sequence[str] = ()
    none_as: float | None = None
    switch: Switch | None = None
    added_later: bool = False
    widget: Mapping[str, Any] = field(default_factory=dict)
    widget_name: str = ""

    # From the field, filled in by declared().
    name: str = ""
    kind: type = str
    may_be_none: bool = False
    default: Any = None  # MISSING: there is none

    def is_allowed(self, value: Any) -> bool:
        """Whether the setting may have this value."""
        if value is None:
            return self.may_be_none
        if isinstance(value, bool) != (self.kind is bool):
            return False
        if not isinstance(value, (int, float) if self.kind is float else self.kind):
            return False
        if self.kind is float and not math.isfinite(value):
            return False
        return (
            (not self.choices or value in self.choices)
            and (self.minimum is None or value >= self.minimum)
            and (self.above is None or value > self.above)
            and (self.maximum is None or value <= self.maximum)
            and (self.multiple_of is None or value % self.multiple_of == 0)
        )

    @property
    def allowed(self) -> str:
        """What the setting may be, in words, for an error."""
        return self._allowed_values() + (" or None" if self.may_be_none else "")

    def _allowed_values(self) -> str:
        if self.choices:
            return f"one of {', '.join(self.choices)}"
        if self.kind in (str, bool):
            return {str: "a text", bool: "True or False"}[self.kind]
        if self.multiple_of is not None:
            return f"a multiple of {self.multiple_of}, at least {self.minimum}"
        if self.minimum is None and self.above is None:
            return "a finite number"
        number = "a whole number" if self.kind is int else "a number"
        if self.above is not None:
            return f"{number} above {self.above}"
        if self.maximum is not None:
            return f"{number} from {self.minimum} to {self.maximum}"
        return f"{number} of at least {self.minimum}"

    def shown(self, value: Any) -> Any:
        """A value as a widget or the command line shows it."""
        return self.none_as if value is None else value

    def read(self, shown: Any) -> Any:
        """The inverse of :meth:`shown`."""
        return None if self.none_as is not None and shown == self.none_as else shown


def setting(default: Any = MISSING, *, compare: bool = True, **declaration: Any) -> Any:
    """A dataclass field that is a setting. ``declaration``: the first part of :class:`Setting`'s fields, by name.

    ``compare``: False for one that what is found does not depend on.
    """
    return field(default=default, compare=compare, metadata={_KEY: Setting(**declaration)})


@cache
def declared(settings: type) -> tuple[Setting, ...]:
    """The settings of a dataclass, in the order of its fields; that is also the order of their widgets."""
    kinds = get_type_hints(settings)
    return tuple(_of_field(one.name, kinds[one.name], one.default, one.metadata[_KEY]) for one in fields(settings))


def _of_field(name: str, kind: Any, default: Any, declaration: Setting) -> Setting:
    alternatives = [each for each in get_args(kind) if each is not types.NoneType]  # of `float | None`
    return replace(
        declaration, name=name, kind=alternatives[0] if alternatives else kind, may_be_none=bool(alternatives), default=default,
        widget_name=declaration.widget_name or name,
    )  # fmt: skip


def check(settings: Any) -> None:
    """Raises ValueError with the setting, its value and what is allowed, for the first one that is not."""
    for each in declared(type(settings)):
        require(settings, each.name, each.is_allowed(getattr(settings, each.name)), each.allowed)


def require(settings: Any, name: str, good: bool, allowed: str) -> None:
    """Raises check()'s error unless the setting is ``good``."""
    if not good:
        raise ValueError(f"{type(settings).__name__}: {name} is {getattr(settings, name)!r}, expected {allowed}.")

"""The kinds of adapters: one file each, collected from here by itself. Adding a kind means adding a file."""

from __future__ import annotations

import importlib
import pkgutil

from .base import Adapter, Parts

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")

#: One of each kind, in the order of their files' names.
ADAPTERS: tuple[Adapter, ...] = tuple(kind() for kind in Adapter.__subclasses__())

#: Every ending of a key that some kind has, with the ending that it means.
ENDINGS: dict[str, str] = {
    **{option: option for adapter in ADAPTERS for option in adapter.options},
    **{name: ending for adapter in ADAPTERS for ending, others in adapter.endings.items() for name in (ending, *others)},
}


def adapters_in(parts: Parts) -> list[Adapter]:
    """The kinds that a layer's tensors are of; usually one."""
    return [adapter for adapter in ADAPTERS if adapter.is_in(parts)]

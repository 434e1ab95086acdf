"""The optimisers, behind one interface. A file here with a :class:`Method` in it is all that a new one needs.

Its name goes to ``METHODS`` of the settings too, which stand below and cannot look in here.
"""

from __future__ import annotations

import importlib
import pkgutil
from functools import lru_cache

from ...gradients.rates import Rates
from ...settings import SearchSettings
from .base import Method


@lru_cache(maxsize=1)
def all_methods() -> dict[str, type[Method]]:
    """The methods of this folder by their names."""
    modules = (importlib.import_module(f"{__name__}.{found.name}") for found in pkgutil.iter_modules(__path__))
    values = (value for module in modules for value in vars(module).values())
    methods = (value for value in values if isinstance(value, type) and issubclass(value, Method) and value is not Method)
    return {method.name: method for method in methods}


def create(rates: Rates, settings: SearchSettings) -> Method:
    """The method that the settings name."""
    return all_methods()[settings.method](rates, settings)

"""What foreign functions are called, for messages."""

from __future__ import annotations


def name_of(function: object) -> str:
    """A function or a callable object as its source names it."""
    function = getattr(function, "__func__", function)
    named = function if hasattr(function, "__qualname__") else type(function)
    return f"{named.__module__}.{named.__qualname__}"

"""Block weights: what was found, as numbers, strings and files."""

from . import formats  # noqa: F401 (block weights are written and read with them)

"""How every command reads its options."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from typing import Any, NoReturn


class Parser(argparse.ArgumentParser):
    """argparse's, but bad options are a ValueError, and no option may be cut short.

    ``rewrite``: what is done to the arguments before they are read; it is given them and this parser's options.
    """

    def __init__(self, *parts: Any, rewrite: Callable[[list[str], Sequence[str]], list[str]] | None = None, **more: Any):
        super().__init__(*parts, allow_abbrev=False, **more)
        self._rewrite = rewrite

    def parse_known_args(self, args=None, namespace=None):  # noqa: D102 - argparse calls it for each command, too
        if self._rewrite is not None and args is not None:
            args = self._rewrite(list(args), self.options)
        return super().parse_known_args(args, namespace)

    @property
    def options(self) -> list[str]:
        """All that begin with two dashes, such as --batch-size."""
        return [name for action in self._actions for name in action.option_strings if name.startswith("--")]

    def error(self, message: str) -> NoReturn:
        raise ValueError(message)

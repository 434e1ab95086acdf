"""The table of a node's inputs, as help pages have it."""

from __future__ import annotations

from typing import Any


def input_table(node: Any) -> str:
    """A row for each input: its name, its tooltip and, of a widget, its default."""
    lines = ["| Input | | Default |", "| --- | --- | --- |"]
    for group in ("required", "optional"):
        for name, (_, options) in node.INPUT_TYPES().get(group, {}).items():
            lines.append(
                f"| {name} | {options['tooltip']} | {_in_words(options.get('default', ''))} |".replace("|  |", "| |")
            )
    return "\n".join(lines) + "\n"


def _in_words(default: object) -> str:
    return {True: "on", False: "off"}[default] if isinstance(default, bool) else str(default)

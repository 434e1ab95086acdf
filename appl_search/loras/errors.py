"""What is raised for a LoRA file that cannot be used."""

from __future__ import annotations


class LoraError(ValueError):
    """A LoRA file that cannot be used; the message names the file, the key and what was expected."""


def cut(text: object, length: int = 120) -> str:
    """A text for a message, with its middle left out when it is longer than ``length`` characters."""
    text = str(text)
    half = (length - 3) // 2
    return text if len(text) <= length else f"{text[:half]}...{text[-half:]}"

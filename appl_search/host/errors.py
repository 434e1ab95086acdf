"""What is wrong with a MODEL, CLIP or VAE."""

from __future__ import annotations


class ModelError(ValueError):
    """A MODEL, CLIP or VAE that a search cannot use; the message says what was expected."""

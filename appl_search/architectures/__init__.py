"""Model families: their blocks, and which block a key belongs to. Knows nothing else of this package.

Nothing outside this folder names blocks or counts them: a LoRA's layout carries its architecture. A new family is one file
and its place in :data:`ARCHITECTURES`.
"""

from __future__ import annotations

from collections.abc import Collection

from .base import Architecture, Section
from .naming import ALL, block_named, blocks_named
from .sd15 import SD15
from .sdxl import SDXL
from .unet import TEXT_ENCODERS, UNET_OTHER

__all__ = [
    "ALL",
    "ARCHITECTURES",
    "DEFAULT",
    "TEXT_ENCODERS",
    "UNET_OTHER",
    "Architecture",
    "Section",
    "architecture_of_keys",
    "block_named",
    "blocks_named",
    "labels",
    "named",
]

#: Every family by its name. Where a LoRA fits several, it is for the first of them.
ARCHITECTURES: dict[str, Architecture] = {architecture.name: architecture for architecture in (SDXL, SD15)}
#: That of saved results which do not name one.
DEFAULT = SDXL


def named(name: str) -> Architecture:
    """The architecture of a name in a saved file; ValueError for a name that there is not."""
    if name not in ARCHITECTURES:
        raise ValueError(f"The architecture {name!r} is not known. Expected one of {', '.join(ARCHITECTURES)}.")
    return ARCHITECTURES[name]


def architecture_of_keys(keys: Collection[str], first: Architecture | None = None) -> Architecture:
    """The family that has most of these keys (of a model, or stems of a LoRA file's keys in any naming scheme).

    Of several that have as many: ``first``, or the one of which more of the names are its own.
    """
    return max(
        ARCHITECTURES.values(),
        key=lambda each: (each.count(keys), each == first, sum(each.is_own(key) for key in keys)),
    )


def labels() -> str:
    """All families, for people."""
    return " or ".join(architecture.label for architecture in ARCHITECTURES.values())

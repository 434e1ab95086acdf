"""Hashes of values and files: two that are equal have the same one, and others another."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

_BYTES_AT_ONCE = 1 << 20


def digest_of(value: Any) -> str:
    """Of everything that a value is made of, in hex. A file counts by its path, size and time of change.

    Fields of dataclasses that take no part in comparisons count for nothing here, either.
    """
    digest = hashlib.sha256()
    _feed(digest, value)
    return digest.hexdigest()


def digest_of_file(path: Path) -> str:
    """Of a file's bytes, in hex."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while part := file.read(_BYTES_AT_ONCE):
            digest.update(part)
    return digest.hexdigest()


def bytes_of(tensor: Tensor) -> memoryview:
    """A tensor's numbers, in their order; without a copy where they lie so in ordinary memory."""
    return memoryview(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())


def _feed(digest, value: Any) -> None:
    if isinstance(value, Tensor):
        digest.update(f"{value.dtype}{tuple(value.shape)}".encode())
        digest.update(bytes_of(value))
    elif is_dataclass(value):
        digest.update(type(value).__name__.encode())
        for field in fields(value):
            if field.compare:
                _feed(digest, getattr(value, field.name))
    elif isinstance(value, Mapping):
        _feed(digest, sorted(value.items()))
    elif isinstance(value, (list, tuple)):
        digest.update(f"[{len(value)}".encode())
        for each in value:
            _feed(digest, each)
    elif isinstance(value, Path):
        stat = value.stat()
        digest.update(f"{value}|{stat.st_size}|{stat.st_mtime_ns}".encode())
    else:
        digest.update(f"{value!r}|".encode())

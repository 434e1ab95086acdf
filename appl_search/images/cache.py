"""What was encoded, on disk: a file for each entry, named after the hash of everything that the entry depends on.

So an entry is never out of date: what depends on something else has another name. Processes that write the same entry at
the same time write the same file, each of them whole.
"""

from __future__ import annotations

import json
import logging
import os
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Size, Tensor

from ..digests import bytes_of, digest_of
from ..whole_files import written_whole

log = logging.getLogger("appl_search")

SCHEMA = "appl-search-cache/1"
_KEY = "appl_search"  # of the safetensors metadata
_SUFFIX = ".safetensors"


class CacheError(ValueError):
    """An entry that was there when the search began, and cannot be read any more."""


class _Damaged(Exception):
    """A file that is not what was written; the message says why."""


class Entry(Protocol):
    """Tensors by their names, wherever they are, and their ``shapes``."""

    shapes: Mapping[str, Size]

    def load(self) -> Mapping[str, Tensor]:
        """The tensors."""


@dataclass(frozen=True)
class FileEntry:
    """Tensors in a file of the cache, read whenever they are needed. ``key``: what they depend on. ``values``: what else is kept there."""

    path: Path
    key: Mapping[str, Any]
    shapes: Mapping[str, Size]
    values: Mapping[str, Any]

    def load(self) -> Mapping[str, Tensor]:
        """Raises :class:`CacheError` where the file has been removed or damaged since."""
        try:
            return _read(self.path, self.key)[0]
        except (_Damaged, OSError) as error:
            raise CacheError(
                f"{self.path} was removed or damaged while the search ran ({error}). Leave its folder alone and search again: the "
                "file is made anew, and the search goes on from its state."
            ) from error


class DiskCache:
    """Entries in a folder. That something cannot be written is said once, and then nothing more is."""

    def __init__(self, folder: Path):
        self.folder, self._can_write = folder, True

    def find(self, key: Mapping[str, Any]) -> FileEntry | None:
        """The entry of this key, read once to see that it is whole; None where there is none, or a damaged one, which is named."""
        path = self._path(key)
        try:
            tensors, values = _read(path, key)
        except FileNotFoundError:
            return None
        except (_Damaged, OSError) as error:
            log.warning("%s is damaged (%s): it is made anew.", path, error)
            return None
        return FileEntry(path, key, {name: tensor.shape for name, tensor in tensors.items()}, values)

    def add(self, key: Mapping[str, Any], tensors: Mapping[str, Tensor], values: Mapping[str, Any] | None = None) -> FileEntry | None:
        """A new entry, in the place of an old one; None where it cannot be written. ``key``, ``values``: as JSON has them."""
        path, values = self._path(key), dict(values or {})
        if not self._can_write:
            return None
        about = {"schema": SCHEMA, "key": key, "values": values, "checksum": _checksum(tensors, values)}
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with written_whole(path) as temporary:
                save_file({name: each.contiguous().clone() for name, each in tensors.items()}, temporary, {_KEY: json.dumps(about)})
        except (OSError, SafetensorError) as error:
            log.warning("%s cannot be written (%s): from here on nothing is kept there.", path, error)
            self._can_write = False
            return None
        return FileEntry(path, key, {name: tensor.shape for name, tensor in tensors.items()}, values)

    def _path(self, key: Mapping[str, Any]) -> Path:
        return self.folder / f"{digest_of(json.dumps(key, sort_keys=True))}{_SUFFIX}"


def default_folder() -> Path:
    """The user's own, for whoever names no other."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "appl_search"


def _read(path: Path, key: Mapping[str, Any]) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """(tensors, values). Raises OSError, and :class:`_Damaged` for a file that is not the entry of this key as it was written."""
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            about = json.loads((file.metadata() or {}).get(_KEY, "null"))
            tensors = {name: file.get_tensor(name) for name in file.keys()}
    except (SafetensorError, ValueError, RecursionError) as error:
        raise _Damaged(str(error)[:200]) from error
    if not isinstance(about, dict) or about.get("schema") != SCHEMA or about.get("key") != key:
        raise _Damaged("it is another entry's")
    if about.get("checksum") != _checksum(tensors, about.get("values")):
        raise _Damaged("its checksum is another one")
    return tensors, about["values"]


def _checksum(tensors: Mapping[str, Tensor], values: Any) -> int:
    """Of all tensors by their names, and of the values as JSON."""
    checksum = zlib.crc32(json.dumps(values, sort_keys=True).encode())
    for name in sorted(tensors):
        checksum = zlib.crc32(bytes_of(tensors[name]), zlib.crc32(f"{name}{tuple(tensors[name].shape)}".encode(), checksum))
    return checksum

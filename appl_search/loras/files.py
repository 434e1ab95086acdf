"""LoRA files, read once and checked before anything else is done with them."""

from __future__ import annotations

import hashlib
import json
import weakref
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor

from .adapters import adapters_in
from .adapters.base import ALPHA, Flaw
from .adapters.lora import RESHAPE
from .errors import LoraError, cut
from .names import split_key


class FileState(NamedTuple):
    """A file as it is now: another size or modification time (in ns) means that its contents may be others."""

    path: Path
    size: int
    modified: int


@dataclass(frozen=True, eq=False)
class LoraFile:
    """The contents of a LoRA file, in ordinary memory of its own: what becomes of the file changes nothing.

    ``tensors``: by the file's own keys; ``metadata``: of the safetensors format; ``sha256``: of its bytes, in hex.
    """

    path: Path
    tensors: Mapping[str, Tensor]
    metadata: Mapping[str, str]
    sha256: str

    @cached_property
    def keys(self) -> dict[str, dict[str, str]]:
        """The file's key of each tensor, by stem and by the ending as its adapter names it. Keys of no adapter are left out."""
        stems: dict[str, dict[str, str]] = {}
        for key in self.tensors:
            if (parts := split_key(key)) is None:
                continue
            stem, ending = parts
            if (other := stems.setdefault(stem, {}).setdefault(ending, key)) != key:
                raise LoraError(f"LoRA file {self.path}: {cut(other)} and {cut(key)} are the same thing twice.")
        return stems

    @cached_property
    def stems(self) -> dict[str, dict[str, Tensor]]:
        """The tensors of each layer, as :attr:`keys`."""
        return {stem: {ending: self.tensors[key] for ending, key in keys.items()} for stem, keys in self.keys.items()}


def state_of(path: Path) -> FileState:
    """Raises LoraError for a file that is not there."""
    try:
        stat = path.stat()
    except OSError as error:
        raise LoraError(_unreadable(path, error)) from error
    if not path.is_file():
        raise LoraError(f"LoRA file {path} is no file.")
    return FileState(path, stat.st_size, stat.st_mtime_ns)


#: What was read and is still in use.
_alive: weakref.WeakValueDictionary[FileState, LoraFile] = weakref.WeakValueDictionary()


def read_lora(path: Path) -> LoraFile:
    """Reads a LoRA file and checks all that can be checked without a model. Raises :class:`LoraError`.

    A file that is in use already and has not changed is not read again.
    """
    state = state_of(path)
    if (file := _alive.get(state)) is None:
        try:
            data = path.read_bytes()
        except OSError as error:
            raise LoraError(_unreadable(path, error)) from error
        file = _alive[state] = parse_lora(path, data)
    return file


def parse_lora(path: Path, data: bytes) -> LoraFile:
    """A LoRA file from its bytes, as :func:`read_lora`; ``path`` is for messages."""
    try:
        tensors = dict(sorted(load(data).items()))  # the library's order is another one each time
        header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    except (SafetensorError, RuntimeError, ValueError, KeyError, AssertionError) as error:
        raise LoraError(
            f"LoRA file {path} cannot be read as safetensors ({cut(error, 200)}). It is truncated or of another format: "
            "download it again, or convert a .pt/.ckpt file to .safetensors first."
        ) from error
    file = LoraFile(path, tensors, header.get("__metadata__") or {}, hashlib.sha256(data).hexdigest())
    for stem, parts in file.stems.items():
        _check_layer(file, stem, parts)
    return file


def _unreadable(path: Path, error: OSError) -> str:
    if isinstance(error, FileNotFoundError):
        return f"LoRA file {path} does not exist."
    return f"LoRA file {path} cannot be read ({cut(error.strerror)}). Check the file and its permissions."


def _check_layer(file: LoraFile, stem: str, parts: Mapping[str, Tensor]) -> None:
    """Raises LoraError with the file and the key for tensors that are damaged or do not go together."""
    for ending, part in parts.items():
        if flaw := _flaw(ending, part):
            raise LoraError(f"LoRA file {file.path}: {cut(file.keys[stem][ending])} {flaw}. The file is damaged.")
    for adapter in adapters_in(parts):
        try:
            adapter.check(parts)
        except Flaw as flaw:
            raise LoraError(f"LoRA file {file.path}: {cut(stem)} {flaw}. The file is damaged or not complete.") from None


def _flaw(ending: str, part: Tensor) -> str | None:
    """What is wrong with a tensor by itself."""
    if not part.numel():
        return f"is empty (shape {tuple(part.shape)})"
    if ending == RESHAPE:
        is_sizes = part.ndim == 1 and part.dtype in (torch.int32, torch.int64)
        return None if is_sizes else f"is {part.dtype} of shape {tuple(part.shape)}, expected a list of whole numbers"
    if ending == ALPHA:
        if part.numel() != 1 or part.is_complex():
            return f"is {part.dtype} of shape {tuple(part.shape)}, expected one number"
    elif not part.is_floating_point():
        return f"is {part.dtype}, expected floating point"
    # A sum is quick, and finite only if all are; where it is not, it may have overflowed by itself.
    wide = part.float()
    return None if wide.sum().isfinite() or wide.isfinite().all() else "has NaN or infinite numbers"


@lru_cache(maxsize=256)
def file_hash(path: Path, size: int, mtime_ns: int) -> str:
    """SHA-256 of a file in hex; size and modification time are there to notice that it changed."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()

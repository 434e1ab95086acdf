"""LoRA files: reading them safely, and what they hold for which block."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open

from ..architectures import ARCHITECTURES, DEFAULT, Architecture, architecture_of_keys, labels

log = logging.getLogger("appl_search")

#: Endings of the keys of every adapter that ComfyUI loads, longest first, and whether they patch a bias.
#: Source: ComfyUI's ``comfy/lora.py`` and ``comfy/weight_adapter``.
_SUFFIXES: dict[str, bool] = {
    suffix: suffix in (".diff_b", ".b_norm")
    for suffix in sorted(
        (
            ".alpha", ".dora_scale", ".reshape_weight",
            ".lora_up.weight", ".lora_down.weight", ".lora_mid.weight",
            "_lora.up.weight", "_lora.down.weight", ".lora.up.weight", ".lora.down.weight",
            ".lora_A.weight", ".lora_B.weight", ".lora_A.default.weight", ".lora_B.default.weight",
            ".lora_A", ".lora_B",
            ".lora_linear_layer.up.weight", ".lora_linear_layer.down.weight",
            ".hada_w1_a", ".hada_w1_b", ".hada_w2_a", ".hada_w2_b", ".hada_t1", ".hada_t2",
            ".lokr_w1", ".lokr_w2", ".lokr_w1_a", ".lokr_w1_b", ".lokr_w2_a", ".lokr_w2_b", ".lokr_t2",
            ".a1.weight", ".a2.weight", ".b1.weight", ".b2.weight",
            ".oft_blocks", ".rescale", ".w_norm", ".b_norm", ".diff", ".diff_b", ".set_weight",
        ),
        key=len,
        reverse=True,
    )
}  # fmt: skip
_SCALARS = (".alpha", ".dora_scale", ".reshape_weight", ".rescale")
_TIES = (None, "sections", "all")


class LoraError(ValueError):
    """A LoRA file that cannot be used; the message names the file, the key and what was expected."""


@dataclass(frozen=True)
class LoraSource:
    """One LoRA of a search.

    ``path``: a safetensors file. ``name``: shown in results, the file's stem unless given.
    ``fixed``: rates that are not searched, by block name ({"IN07": 0.0}). ``tie``: None for one rate
    per block, "sections" for one each for BASE, IN, MID and OUT, "all" for a single rate.
    ``start``: rates to start from, by block name; blocks not named start at ``SearchSettings.init``.

    Raises ValueError for an unknown block name or tie.
    """

    path: str | Path
    name: str = ""
    fixed: Mapping[str, float] = field(default_factory=dict)
    tie: str | None = None
    start: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "path", Path(self.path))
        object.__setattr__(self, "name", self.name or self.path.stem)
        for what in ("fixed", "start"):
            object.__setattr__(self, what, {_block(name): float(rate) for name, rate in getattr(self, what).items()})
        if self.tie not in _TIES:
            raise ValueError(f"LoraSource(tie={self.tie!r}): expected None, 'sections' or 'all'.")


def _block(name: str) -> str:
    """The name of a block of any architecture, in upper case; which one the file is for is not known before it is read."""
    known = dict.fromkeys(block for architecture in ARCHITECTURES.values() for block in architecture.blocks)
    if name.upper() not in known:
        raise ValueError(f"{name!r} is not an {labels()} block. Expected one of {', '.join(known)}.")
    return name.upper()


@dataclass(frozen=True)
class LoraLayout:
    """What a LoRA file holds: enough for every block-weight string, without its tensors.

    ``groups``: number of model keys that the file patches, by group of its ``architecture`` (weights and biases count
    one each, as ComfyUI counts them). ``sha256``: of the file's bytes, in hex.
    """

    name: str
    sha256: str
    groups: Mapping[str, int]
    architecture: Architecture = DEFAULT

    @property
    def keys(self) -> tuple[int, ...]:
        """For each block of the architecture: how many model keys the file patches there."""
        counts = [0] * len(self.architecture.blocks)
        for group, count in self.groups.items():
            counts[self.architecture.block_of_group(group)] += count
        return tuple(counts)

    @property
    def present(self) -> tuple[bool, ...]:
        """For each block of the architecture: whether the file has any key for it."""
        return tuple(count > 0 for count in self.keys)


def split_key(key: str) -> tuple[str, str] | None:
    """(stem, suffix) of a key of a LoRA file, None if no adapter has such a key."""
    for suffix in _SUFFIXES:
        if key.endswith(suffix):
            return key[: -len(suffix)], suffix
    return None


def read_layout(source: LoraSource) -> LoraLayout:
    """The layout of a LoRA file, from its header alone. Raises :class:`LoraError`."""
    path = Path(source.path)
    with _opened(path) as file:
        keys = list(file.keys())
    stat = path.stat()
    architecture, groups = _count_groups(path, keys)
    return LoraLayout(source.name, file_hash(path, stat.st_size, stat.st_mtime_ns), groups, architecture)


def read_metadata(path: Path) -> dict[str, str]:
    """The safetensors metadata of a LoRA file. Raises :class:`LoraError`."""
    with _opened(path) as file:
        return dict(file.metadata() or {})


def read_tensors(path: Path) -> dict[str, torch.Tensor]:
    """All tensors of a LoRA file, in ordinary memory. Raises :class:`LoraError`."""
    with _opened(path) as file:
        return {key: file.get_tensor(key) for key in file.keys()}


def _opened(path: Path):
    if not path.is_file():
        raise LoraError(f"LoRA file {path} does not exist.")
    try:
        return safe_open(str(path), framework="pt", device="cpu")
    except SafetensorError as error:
        raise LoraError(
            f"LoRA file {path} cannot be read as safetensors ({error}). It is truncated or of another format: "
            "download it again, or convert a .pt/.ckpt file to .safetensors first."
        ) from error


def _count_groups(path: Path, keys: list[str]) -> tuple[Architecture, dict[str, int]]:
    """Which architecture a file with these keys is for, and its groups of it. Raises LoraError when none has any of them."""
    parts = {key: found for key in keys if (found := split_key(key)) is not None and found[1] not in _SCALARS}
    architecture = architecture_of_keys({stem for stem, _ in parts.values()})
    patched: dict[str, set[str]] = {}
    foreign: list[str] = []
    for key, (stem, suffix) in parts.items():
        group = architecture.group_of_key(stem)
        if group is None:
            foreign.append(key)
        else:
            patched.setdefault(group, set()).add(stem + (".bias" if _SUFFIXES[suffix] else ".weight"))
    if not patched:
        shown = ", ".join((foreign or keys)[:3]) or "no keys at all"
        reason = f"is for another model than {labels()}" if foreign else "is not a LoRA"
        raise LoraError(
            f"LoRA file {path} {reason}: none of its {len(keys)} keys patches an {labels()} block (it has {shown})."
        )
    if foreign:
        what = f"{len(foreign)} keys belong to no {architecture.label} block and are ignored, e.g. {foreign[0]}"
        log.warning("LoRA file %s: %s", path, what)
    return architecture, {group: len(stems) for group, stems in patched.items()}


@lru_cache(maxsize=256)
def file_hash(path: Path, size: int, mtime_ns: int) -> str:
    """SHA-256 of a file in hex; size and modification time are there to notice that it changed."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()

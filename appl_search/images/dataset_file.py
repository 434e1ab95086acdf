"""Dataset files (.toml) of kohya's trainers, as far as they bear on a search."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..settings.declaration import declared
from .options import TrainingOptions
from .subset import CAPTION_EXTENSIONS, Subset

if sys.version_info >= (3, 11):
    import tomllib
else:
    try:
        import tomli as tomllib
    except ModuleNotFoundError:
        tomllib = None  # said when a file is to be read

#: The trainers' names of options, and ours. Of each the innermost table that has it counts.
NAMES = {
    "num_repeats": "repeats",
    "is_reg": "regularisation",
    "shuffle_caption": "shuffle",
    "caption_separator": "separator",
    "keep_tokens": "keep_tokens",
    "keep_tokens_separator": "keep_separator",
    "secondary_separator": "secondary_separator",
    "enable_wildcard": "wildcards",
    "caption_prefix": "prefix",
    "caption_suffix": "suffix",
    "caption_dropout_rate": "dropout",
    "caption_tag_dropout_rate": "tag_dropout",
    "flip_aug": "flip",
    "random_crop": "random_crop",
    "enable_bucket": "buckets",
    "min_bucket_reso": "smallest",
    "max_bucket_reso": "largest",
    "bucket_reso_steps": "step",
    "bucket_no_upscale": "no_upscale",
}
#: Read here, and not an option of their own.
_READ = {
    "image_dir",
    "metadata_file",
    "conditioning_data_dir",
    "class_tokens",
    "caption_extension",
    "alpha_mask",
    "resolution",
    "subsets",
}
#: Without a meaning for a search, whatever they are.
_WITHOUT_MEANING = {
    "batch_size",
    "validation_seed",
    "validation_split",
    "network_multiplier",
    "cache_info",
    "custom_attributes",
}
#: Would change what is searched for, and cannot be served unless they are off.
_UNSERVED = {
    "color_aug", "face_crop_aug_range", "token_warmup_step", "caption_dropout_every_n_epochs", "resize_interpolation",
}  # fmt: skip
_OF_UNSERVED = {"token_warmup_min"}
#: What the trainers take where a file names a resolution and nothing else about sizes.
_SIZES = {"buckets": False, "smallest": 256, "largest": 1024, "step": 64, "no_upscale": False}


def read_subsets(path: Path, options: TrainingOptions) -> tuple[list[Subset], list[str]]:
    """(the folders that a dataset file names, notes). ``options``: what counts where the file says nothing.

    Paths are taken from the file's own folder. Raises ValueError with the file, the table and the option for what
    cannot be read or served.
    """
    data = read_toml(path)
    _expect(
        set(data) <= {"general", "datasets"},
        f"{path} has {', '.join(sorted(set(data) - {'general', 'datasets'}))}, expected general and datasets only.",
    )
    general = _table(data.get("general", {}), f"{path}: general")
    subsets, ignored = [], set()
    for number, dataset in enumerate(_tables(data.get("datasets", []), f"{path}: datasets"), 1):
        for position, subset in enumerate(
            _tables(dataset.get("subsets", []), f"{path}: subsets of dataset {number}"), 1
        ):
            where = f"{path}, subset {position} of dataset {number}"
            merged = {**general, **dataset, **subset}
            ignored |= set(merged) & _WITHOUT_MEANING
            subsets.append(_subset(merged, where, path.parent, options))
    _expect(
        bool(subsets),
        f"{path} names no folder: expected [[datasets]] with [[datasets.subsets]] that have an image_dir.",
    )
    notes = [f"{path}: {', '.join(sorted(ignored))} do not bear on a search."] if ignored else []
    return subsets, notes


def read_toml(path: Path) -> dict[str, Any]:
    """What a TOML file says. ValueError with its path for one that cannot be read."""
    _expect(tomllib is not None, f"{path} needs the package tomli to be read by Python 3.10: pip install tomli.")
    try:
        return tomllib.loads(path.read_bytes().decode("utf-8-sig"))
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error}.") from error
    except ValueError as error:
        raise ValueError(f"{path} is no TOML: {str(error)[:200]}.") from error


def _subset(table: dict[str, Any], where: str, home: Path, options: TrainingOptions) -> Subset:
    unknown = set(table) - set(NAMES) - _READ - _WITHOUT_MEANING - _UNSERVED - _OF_UNSERVED
    _expect(not unknown, f"{where}: there is no option {', '.join(sorted(unknown))}.")
    unserved = sorted(name for name in _UNSERVED if table.get(name))
    _expect(
        not unserved,
        f"{where}: {', '.join(unserved)} cannot be served by a search. Remove it from the file, or set it to 0.",
    )
    _expect("image_dir" in table, f"{where}: image_dir is missing, expected a folder.")
    kinds = {each.name: each.kind for each in declared(TrainingOptions)}
    changes: dict[str, Any] = {}
    if "resolution" in table:
        width, height = _resolution(table["resolution"], where)
        changes = {"width": width, "height": height, **_SIZES}
    for name in table.keys() & NAMES.keys():
        ours, value = NAMES[name], table[name]
        good = type(value) is kinds[ours] or (kinds[ours] is float and type(value) is int)
        _expect(good, f"{where}: {name} is {value!r}, expected {kinds[ours].__name__}.")
        changes[ours] = value
    if table.get("alpha_mask"):
        changes["alpha"] = "mask"
    try:
        options = replace(options, **changes)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from error
    extension = _text(table, "caption_extension", where)
    return Subset(
        folder=home / _text(table, "image_dir", where),
        options=options,
        caption=_text(table, "class_tokens", where) or "",
        extensions=CAPTION_EXTENSIONS if extension is None else (f".{extension.removeprefix('.')}",),
        metadata=_path(table, "metadata_file", where, home),
        masks=_path(table, "conditioning_data_dir", where, home),
    )


def _resolution(value: Any, where: str) -> tuple[int, int]:
    sides = value if isinstance(value, list) else [value, value]
    _expect(
        len(sides) == 2 and all(type(side) is int for side in sides),
        f"{where}: resolution is {value!r}, expected 1024 or [1024, 1024].",
    )
    return sides[0], sides[1]


def _text(table: dict[str, Any], name: str, where: str) -> str | None:
    value = table.get(name)
    _expect(value is None or isinstance(value, str), f"{where}: {name} is {value!r}, expected text.")
    return value


def _path(table: dict[str, Any], name: str, where: str, home: Path) -> Path | None:
    text = _text(table, name, where)
    return None if text is None else home / text


def _table(value: Any, where: str) -> dict[str, Any]:
    _expect(isinstance(value, dict), f"{where} is {str(value)[:80]!r}, expected a table.")
    return value


def _tables(value: Any, where: str) -> list[dict[str, Any]]:
    _expect(isinstance(value, list), f"{where} is {str(value)[:80]!r}, expected a list of tables.")
    return [_table(each, where) for each in value]


def _expect(good: bool, message: str) -> None:
    if not good:
        raise ValueError(message)

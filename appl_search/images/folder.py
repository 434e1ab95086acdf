"""A training set of picture files: from a folder, or from a dataset file of kohya's trainers."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from .ahead import ahead
from .buckets import Size
from .cache import DiskCache, default_folder
from .captions import check_caption, first_line
from .dataset_file import read_subsets
from .files import FromFile, folders_in, look_at, mask_beside, pictures_among
from .frames import Frame
from .metadata import Entry, read_metadata
from .options import TrainingOptions
from .pictures import Picture
from .pixels import IGNORE, MASK
from .subset import CAPTION_EXTENSIONS, Subset
from .training_set import TrainingSet

_NAMED = 3  # pictures in a note that is about several
_READERS = 4  # at a time; more would need more memory than they save time


def read_training_set(
    path: str | Path,
    options: TrainingOptions = TrainingOptions(),
    *,
    extensions: Sequence[str] = CAPTION_EXTENSIONS,
    metadata: str | Path | None = None,
    masks: str | Path | None = None,
    sub_folders: bool = True,
    skip_broken: bool = False,
    check_path: Callable[[Path], object] = lambda path: None,
    cache_folder: Path | None = None,
) -> TrainingSet:
    """The pictures of a folder with their captions, or those that a dataset file (.toml) of kohya's trainers names.

    A picture's caption is the first line of the file of its name with one of the ``extensions``, in UTF-8; all lines
    with ``options.all_lines`` or wildcards. With ``metadata`` (.json, .jsonl) captions come from there, and pictures
    that are not named there do not count. With ``sub_folders`` their pictures follow; one called `10_name` has its
    pictures ten times in an epoch, with `name` as the caption of those that have none. A mask may lie beside its picture
    (`cat.mask.png`), or under its name in the folder ``masks``, whose pictures are no training pictures. Pictures are read
    when the search needs them, and once here, to find the broken ones.
    ``skip_broken``: they are left out with a note, else ValueError names the first. ``check_path`` is called with each
    folder and file before it is opened, and may raise. ``cache_folder``: where it is kept what was seen in pictures whose
    options ask for that; the user's own folder without.
    """
    path = Path(path)
    check_path(path)
    if path.suffix.lower() == ".toml":
        if metadata is not None or masks is not None:
            raise ValueError(
                f"{path} is a dataset file, which names metadata and masks itself: as metadata_file and conditioning_data_dir."
            )
        subsets, notes = read_subsets(path, options)
    elif path.is_dir():
        subsets, notes = [], []
        masks = None if masks is None else Path(masks)
        if metadata is not None:
            subsets = [Subset(path, options, metadata=Path(metadata), masks=masks, deep=sub_folders)]
        else:
            found = _subsets_in(path, options, extensions, sub_folders)
            subsets = [replace(each, masks=masks) for each in found if masks is None or not each.folder.is_relative_to(masks)]
    else:
        raise ValueError(f"{path} is no folder of pictures and no dataset file (.toml).")
    pictures: list[Picture] = []
    cache = DiskCache(cache_folder or default_folder())
    for subset in subsets:
        for each in (subset.folder, subset.metadata, subset.masks):
            if each is not None:
                check_path(each)
        more, more_notes = _pictures(subset, skip_broken, cache if subset.options.disk_cache else None)
        pictures += more
        notes += more_notes
    if not pictures:
        raise ValueError(f"There is no usable picture in {path}. {' '.join(notes)}".strip())
    return TrainingSet(tuple(pictures), tuple(notes))


def _subsets_in(root: Path, options: TrainingOptions, extensions: Sequence[str], deep: bool) -> Iterator[Subset]:
    for folder, pictures in folders_in(root):
        repeats, caption = 1, ""
        for name in folder.relative_to(root).parts:
            if found := re.fullmatch(r"(\d+)(?:_(.*))?", name, re.DOTALL):
                repeats, caption = int(found[1]), found[2] or ""
        if pictures and repeats:
            yield Subset(folder, replace(options, repeats=options.repeats * repeats), caption, extensions)
        if not deep:
            return


@dataclass(frozen=True)
class _Read:
    """What came of an entry. ``problem``: why there is no picture."""

    picture: Picture | None = None
    problem: ValueError | None = None
    has_caption: bool = True
    has_alpha: bool = False


def _pictures(subset: Subset, skip_broken: bool, cache: DiskCache | None) -> tuple[list[Picture], list[str]]:
    """(pictures, notes) of one folder."""
    for folder in (subset.folder, subset.masks):
        if folder is not None and not folder.is_dir():
            raise ValueError(f"There is no folder {folder}.")
    entries, notes = _entries(subset, skip_broken)
    read: list[_Read] = []
    for each in ahead(lambda entry: _read(entry, subset, cache), entries, _READERS, 2 * _READERS):
        if each.problem is not None and not skip_broken:
            raise each.problem
        read.append(each)
    notes += [f"Left out: {each.problem}" for each in read if each.problem is not None]
    pictures = [each for each in read if each.picture is not None]
    if names := [each.picture.name for each in pictures if not each.has_caption]:
        notes.append(f"{_some(names)} no caption, so the caption is empty.")
    if names := [each.picture.name for each in pictures if each.has_alpha]:
        colour = subset.options.alpha
        meaning = {MASK: "counts as a mask", IGNORE: "was dropped"}.get(colour, f"was laid on {colour}")
        notes.append(f"{_some(names)} an alpha channel, which {meaning}.")
    if names := [each.picture.name for each in pictures if subset.masks and each.picture.source.mask is None]:
        notes.append(f"{_some(names)} no mask in {subset.masks}, so the loss counts everywhere.")
    return [each.picture for each in pictures], notes


def _entries(subset: Subset, skip_broken: bool) -> tuple[list[Entry], list[str]]:
    """Files with their captions, None for those without."""
    if subset.deep:
        files = [path for _, pictures in folders_in(subset.folder) for path in pictures]
    else:
        files = pictures_among([Path(entry.path) for entry in os.scandir(subset.folder) if entry.is_file()])
    if subset.metadata is None:
        return [Entry(path, None) for path in files], []
    entries, missing = read_metadata(subset.metadata, subset.folder, files, subset.options)
    if missing and not skip_broken:
        raise ValueError(f"{subset.metadata} names {missing[0]!r}, but there is no such picture in {subset.folder}.")
    return entries, [
        f"Left out: {subset.metadata} names {_some(missing)} no picture in {subset.folder}."
    ] if missing else []


def _read(entry: Entry, subset: Subset, cache: DiskCache | None) -> _Read:
    path, options, name = entry.path, subset.options, str(entry.path)
    try:
        caption = _caption_beside(path, subset) if entry.caption is None else entry.caption
        usable = check_caption(subset.caption if caption is None else caption, name, options.literal)
        source = FromFile(path, options.alpha, mask_beside(path, subset.masks))
        size, has_alpha = _seen(source, cache)
        frame = Frame.of(size, options.chooser, name)
    except ValueError as error:
        return _Read(problem=error)
    picture = Picture(source, usable, frame, name, options, options.repeats)
    return _Read(picture, has_caption=bool(usable) or caption is not None, has_alpha=has_alpha)


def _seen(source: FromFile, cache: DiskCache | None) -> tuple[Size, bool]:
    """((width, height), whether there is alpha) of a picture that can be read, and its mask too. Raises ValueError for one that cannot."""
    key = None if cache is None else {"seen": source.fingerprint()}
    if key is not None and (entry := cache.find(key)) is not None:
        return tuple(entry.values["size"]), entry.values["has_alpha"]
    size, has_alpha = look_at(source.path)
    if source.mask is not None:
        source.read()
    if key is not None:
        cache.add(key, {}, {"size": size, "has_alpha": has_alpha})
    return size, has_alpha


def _caption_beside(path: Path, subset: Subset) -> str | None:
    for extension in subset.extensions:
        file = path.with_suffix(extension)
        if file.is_file():
            try:
                text = file.read_bytes().decode("utf-8-sig")
            except UnicodeDecodeError as error:
                raise ValueError(f"{file} is not in UTF-8 (byte {error.start}). Save it as UTF-8.") from None
            if not (subset.options.all_lines or subset.options.wildcards):
                return first_line(text)
            return "\n".join(line.strip() for line in text.split("\n") if line.strip())
    return None


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_NAMED])
    return (
        f"{shown} {'has' if len(names) == 1 else 'have'}"
        if len(names) <= _NAMED
        else f"{shown} and {len(names) - _NAMED} more have"
    )

"""Results in ComfyUI's output folder: written whole or not at all, under names that never overwrite a file."""

from __future__ import annotations

import itertools
import os
import re
import secrets
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import folder_paths

from ...appl_search import SearchResult
from .common import log

FOLDER = "block_weights"
#: Bytes of a name before its number. Encrypted home folders allow 143 in all, most others 255.
_LONGEST_NAME = 110
#: What Windows has in no name; a colon would even name a hidden stream of another file there.
_NOT_IN_NAMES = re.compile(r'[<>:"|?*\x00-\x1f\x7f\ud800-\udfff]')


def result_folder() -> Path:
    """Where results are saved and looked for."""
    return Path(folder_paths.get_output_directory()) / FOLDER


def cache_folder() -> Path:
    """Where it is kept what training images are encoded to: beside the results, whose list need not go through all of it."""
    return Path(folder_paths.get_output_directory()) / f"{FOLDER}_cache"


def report_folder() -> Path:
    """Where reports are saved."""
    return result_folder() / "reports"


def inside(folder: Path, file: str, suffix: str) -> Path:
    """The path of a file that the page asks for: it may ask for anything. ValueError when it is not below the folder."""
    try:
        path = (folder / file).resolve()
        is_inside = path.is_relative_to(folder.resolve())
    except (OSError, RuntimeError, ValueError):  # a circle of links, a name that is none
        is_inside = False
    if not is_inside or path.suffix != suffix:
        raise ValueError(f"{file[:200]!r} is no {suffix} file in {folder}.")
    return path


def write_new(folder: Path, stem: str, suffix: str, write: Callable[[Path], object]) -> Path:
    """A new file ``stem_00001.suffix`` or the next free number, and its folder, with what ``write`` puts into a path.

    ``stem`` may name folders inside ``folder``; what file systems do not take in a name becomes "_", and long names are
    cut. Nothing is overwritten, by other processes neither. Raises ValueError for a stem that leads out of the folder,
    OSError when the file cannot be written; then there is no file.
    """
    target = _target(folder, stem)
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = _written(target.parent, write)
    try:
        for number in itertools.count(1):
            path = target.with_name(f"{target.name}_{number:05}{suffix}")
            with suppress(FileExistsError):
                path.open("xb").close()  # takes the name: another process gets the next one
                break
        try:
            temporary.replace(path)
        except OSError:
            path.unlink()
            raise
    finally:
        temporary.unlink(missing_ok=True)
    return path


def write_whole(path: Path, write: Callable[[Path], object]) -> None:
    """Writes a file, or writes it anew, whole or not at all. Raises OSError when it cannot be written."""
    temporary = _written(path.parent, write)
    try:
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def save_result(result: SearchResult, name: str = "") -> Path:
    """Writes a result as JSON; without a ``name`` it is named after its LoRAs. Raises as :func:`write_new` does."""
    stem = name.strip() or "+".join(weights.name for weights in result.block_weights).replace("/", "_")
    text = result.to_json()
    return write_new(result_folder(), stem, ".json", lambda path: path.write_text(text, encoding="utf-8"))


def result_names() -> list[str]:
    """All saved results by their path inside :func:`result_folder`, the newest first."""
    folder = result_folder()
    found = sorted(_results(folder), reverse=True)
    return [Path(path).relative_to(folder).as_posix() for _, path in found]


def load_result(name: str) -> SearchResult:
    """A result of :func:`result_names`. Raises ValueError with the file's path when it cannot be read."""
    path = inside(result_folder(), name, ".json")
    if not path.is_file():
        raise ValueError(f"There is no saved result {path}. Put the file there, refresh the page (R) and choose it again.")
    try:
        return SearchResult.from_json(path.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise ValueError(f"{path}: {error}") from error


def _target(folder: Path, stem: str) -> Path:
    """The file that a stem names, without number and suffix. ValueError for one outside of the folder."""
    parts = [_NOT_IN_NAMES.sub("_", part) for part in stem.replace("\\", "/").split("/")]
    try:
        target = (folder / "/".join(_cut(part, _LONGEST_NAME) for part in parts)).resolve()
        is_inside = target.is_relative_to(folder.resolve()) and target != folder.resolve()
    except (OSError, RuntimeError):  # a circle of links
        is_inside = False
    if not is_inside:
        raise ValueError(f"The name {stem[:200]!r} leads out of {folder}. Expected a file name, with folders inside that one at most.")
    return target


def _cut(name: str, most: int) -> str:
    """As many characters of a name as fit into so many bytes, and no spaces at its ends."""
    return name.encode()[:most].decode(errors="ignore").strip()


def _written(folder: Path, write: Callable[[Path], object]) -> Path:
    """A new file in a folder with what ``write`` puts into it, for nobody to see yet; none when it fails."""
    path = folder / f".{secrets.token_hex(8)}.part"
    path.open("xb").close()
    try:
        mode = path.stat().st_mode  # as the folder's other files have it; some libraries make files for their owner alone
        write(path)
        path.chmod(mode)
    except BaseException:
        with suppress(OSError):  # the first error says more
            path.unlink()
        raise
    return path


def _unread(error: OSError) -> None:
    """Tells of a folder that cannot be listed; before the first result there is none."""
    if not isinstance(error, FileNotFoundError):
        log.warning("Results: %s", error)


def _results(folder: Path) -> Iterator[tuple[int, str]]:
    """(modification time, path) of all results. What cannot be looked at is left out: one bad file must not hide the others."""
    for parent, _, names in os.walk(folder, onerror=_unread):
        for name in names:
            path = os.path.join(parent, name)
            if name.endswith(".json"):
                with suppress(OSError):  # gone since it was listed, or a link to nowhere or to itself
                    yield os.stat(path).st_mtime_ns, path

"""Inspire Pack's files of presets: a line ``NAME:vector`` for each, as in ``resources/lbw-preset.custom.txt``.

Source of the rules: ``load_lbw_preset`` and ``load_preset_dict`` of ``inspire/lora_block_weight.py``. A line that begins with
"@" is hidden, and of lines with one name the last counts. Lines that cannot be read are told by their number, and stay in
the file as they are whatever is saved into it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ...whole_files import written_whole
from .base import shortened
from .inspire import preset_name
from .inspire_vector import check_vector

_HIDDEN = "@"


@dataclass(frozen=True)
class PresetFile:
    """``lines``: the file's bytes, with the ends of lines as they are; () for a file that does not exist.

    ``presets``: vectors and % specs by name. ``damaged``: a sentence for each line that cannot be read.
    """

    lines: tuple[bytes, ...]
    presets: dict[str, str]
    damaged: tuple[str, ...]

    @classmethod
    def read(cls, path: Path) -> PresetFile:
        """Raises OSError when there is a file that cannot be read."""
        return cls.of(path.read_bytes() if path.is_file() else b"")

    @classmethod
    def of(cls, content: bytes) -> PresetFile:
        lines = tuple(content.splitlines(keepends=True))
        presets, damaged = {}, []
        for number, line in enumerate(lines, 1):
            try:
                if found := _read(line, is_first=number == 1):
                    presets |= [found]
            except ValueError as error:
                damaged.append(f"line {number} is left out: {error}")
        return cls(lines, presets, tuple(damaged))

    def with_preset(self, name: str, vector: str, replace: bool = False) -> PresetFile:
        """The file with one preset more, or with another vector for one that is there, if ``replace``.

        Raises ValueError for a name or a vector that such a file cannot hold, and for a name that is taken.
        """
        vector = vector.strip()
        if preset_name(name) != name or "\n" in name or "\r" in name:
            raise ValueError(f"A preset cannot be named {shortened(name)}. Expected a name without ':' and ',' that does not begin with '@' or '%'.")
        _check(vector)
        before = self.presets.get(name)
        if before == vector:
            return self
        lines = list(self.lines)
        if before is None:
            end = b"\r\n" if lines and lines[0].endswith(b"\r\n") else b"\n"
            if lines and not lines[-1].endswith((b"\n", b"\r")):
                lines[-1] += end
            lines.append(f"{name}:{vector}".encode() + end)
        elif replace:
            place = max(place for place, line in enumerate(lines) if _is_of(line, name, place == 0))
            content = lines[place].rstrip(b"\r\n")
            lines[place] = f"{name}:{vector}".encode() + lines[place][len(content) :]
        else:
            raise ValueError(f"There is a preset {shortened(name)} with other numbers already ({shortened(before)}). Choose another name, or replace it.")
        return PresetFile.of(b"".join(lines))

    def save(self, path: Path) -> None:
        """Writes the file, and its folder, whole or not at all. Raises OSError when it cannot be written."""
        path.parent.mkdir(parents=True, exist_ok=True)
        with written_whole(path) as temporary:
            temporary.write_bytes(b"".join(self.lines))


def _read(line: bytes, is_first: bool) -> tuple[str, str] | None:
    """(name, vector) of a line, None for an empty or hidden one. Raises ValueError for one that cannot be read."""
    try:
        text = line.decode("utf-8-sig" if is_first else "utf-8").strip()
    except UnicodeDecodeError:
        raise ValueError(f"{line.strip()[:60]!r} is not UTF-8.") from None
    if not text or text.startswith(_HIDDEN):
        return None
    name, colon, vector = text.partition(":")
    if not colon or not name.strip() or ":" in vector:
        raise ValueError(f"{shortened(text)} is not a name, one ':' and numbers.")
    _check(vector.strip())
    return name, vector.strip()


def _check(vector: str) -> None:
    if not vector:
        raise ValueError("There are no numbers. Expected a vector for Inspire, as in 1,0.5,0,1.")
    if not vector.startswith("%"):
        check_vector(vector, f"The preset {shortened(vector)}")


def _is_of(line: bytes, name: str, is_first: bool) -> bool:
    try:
        found = _read(line, is_first)
    except ValueError:
        return False
    return found is not None and found[0] == name

"""Files of presets: what Inspire reads of them is what is read here, and nothing in them is ever lost."""

from __future__ import annotations

import re

import pytest

from appl_search.weights.formats.inspire_presets import PresetFile

VECTOR = "0,0.5,1,0.25,1,1,1,1,1,1,1,1"


def inspires_reading(text: str) -> dict[str, str]:
    """What ``load_preset_dict`` of the Inspire Pack (September 2025) makes of a file."""
    found = {}
    for line in map(str.strip, text.splitlines()):
        if not line.startswith("@") and len(parts := line.split(":")) > 1:
            found[parts[0]] = parts[1]
    return found


def test_presets_are_read_as_inspire_reads_them():
    text = f"SD-ALL:1,1,1\n\n@HIDDEN:58,6,30\nMY ONE:{VECTOR}\r\nAB:1,A,b,R,0.5 0.25,U\nSPEC:%default=1,in1-3=0.2\nSD-ALL:0,0,0"
    file = PresetFile.of(text.encode())
    assert file.presets == inspires_reading(text) and file.presets["SD-ALL"] == "0,0,0" and len(file.presets) == 4
    assert file.damaged == ()


@pytest.mark.parametrize(
    "line, expected",
    [
        (b"no colon", "line 2 is left out: 'no colon' is not a name, one ':' and numbers."),
        (b":1,2", "':1,2' is not a name, one ':' and numbers."),
        (b"A:B:1", "'A:B:1' is not a name, one ':' and numbers."),
        (b"A:", "There are no numbers."),
        (b"A:1,,2", "The preset '1,,2': '' is not a number."),
        (b"A:1,0,5x", "The preset '1,0,5x': '5x' is not a number."),
        (b"A:1,.5", "'.5' is not a number."),
        (b"\xe9t\xe9:1", "is not UTF-8"),
    ],
)
def test_a_damaged_line_is_named_and_stays_when_others_are_saved(line, expected, tmp_path):
    path = tmp_path / "presets.txt"
    before = b"FIRST:1,2\r\n" + line + b"\r\nLAST:3,4"
    path.write_bytes(before)
    file = PresetFile.read(path)
    (damage,) = file.damaged
    assert expected in damage and damage.startswith("line 2 is left out: ")
    assert file.presets == {"FIRST": "1,2", "LAST": "3,4"}
    file.with_preset("NEW", VECTOR).with_preset("FIRST", "5,6", replace=True).save(path)
    assert path.read_bytes() == b"FIRST:5,6\r\n" + line + b"\r\nLAST:3,4\r\nNEW:" + VECTOR.encode() + b"\r\n"


def test_a_file_and_its_folder_are_made(tmp_path):
    path = tmp_path / "new" / "presets.txt"
    PresetFile.read(path).with_preset("\u5199\u771f", VECTOR).save(path)
    assert PresetFile.read(path).presets == {"\u5199\u771f": VECTOR}
    assert [each.name for each in path.parent.iterdir()] == ["presets.txt"]


def test_a_name_that_is_taken_is_refused_unless_it_is_to_be_replaced():
    file = PresetFile.of(f"A:{VECTOR}\nB:1,2\nA:1,2".encode())
    assert file.with_preset("A", " 1,2 ") is file
    with pytest.raises(ValueError, match=re.escape("There is a preset 'A' with other numbers already ('1,2'). Choose another name, or replace it.")):
        file.with_preset("A", "3,4")
    assert b"".join(file.with_preset("A", "3,4", replace=True).lines) == f"A:{VECTOR}\nB:1,2\nA:3,4".encode()


@pytest.mark.parametrize("name", ["", "a:b", "a,b", "@a", " @a", "%a", "a\nb", " a", "a "])
def test_names_that_such_a_file_cannot_hold_are_refused(name):
    with pytest.raises(ValueError, match="A preset cannot be named"):
        PresetFile.of(b"").with_preset(name, VECTOR)


@pytest.mark.parametrize("vector", ["", "1,x", "1,2\nB:3,4", "1:2", "{}"])
def test_texts_that_are_no_vector_are_refused(vector):
    with pytest.raises(ValueError):
        PresetFile.of(b"").with_preset("A", vector)


def test_a_mark_of_utf8_in_front_is_no_part_of_a_name():
    assert PresetFile.of(b"\xef\xbb\xbfA:1,2").presets == {"A": "1,2"}

"""A format is one class in one file: menus, reading, writing and the command line find it by themselves."""

import importlib
import sys
from pathlib import Path

import pytest

from appl_search.cli.main import main
from appl_search.weights import formats
from appl_search.weights.block_weights import BlockWeights
from tests import pack

from .layouts import ATTENTION_GROUPS, layout_of, lora_file, weights_of

SOURCE = '''
from appl_search.weights.formats.plain import Plain


class Pipes(Plain):
    name = "pipes"
    label = "Numbers with | between them"
    order = 15
    has_mark = True

    def write(self, weights, digits=3):
        return super().write(weights, digits).replace(",", "|")

    def rates_in(self, text, layout):
        return super().rates_in(text.replace("|", ","), layout)

    def matches(self, text, layout):
        return "|" in text
'''


@pytest.fixture
def added(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The folder of formats with one more file in it."""
    (tmp_path / "pipes.py").write_text(SOURCE)
    monkeypatch.setattr(formats, "__path__", [*formats.__path__, str(tmp_path)])
    importlib.invalidate_caches()
    before = dict(formats.FORMATS)
    found = formats.find_formats()
    formats.FORMATS.clear()
    formats.FORMATS.update(found)
    yield found
    formats.FORMATS.clear()
    formats.FORMATS.update(before)
    sys.modules.pop("appl_search.weights.formats.pipes")


def test_menus_keep_their_order():
    assert list(formats.FORMATS) == [
        "plain", "inspire", "inspire-preset", "impact", "a1111", "a1111-tag", "forge-neo", "sdnext", "kohya", "json", "csv"
    ]  # fmt: skip


def test_a_file_in_the_folder_is_all_that_a_new_format_needs(added, tmp_path, capsys):
    names = list(added)
    assert names.index("plain") + 1 == names.index("pipes") == names.index("inspire") - 1

    menu = pack.load_pack().NODE_CLASS_MAPPINGS["ApplSearchToString"].INPUT_TYPES()["required"]["format"][0]
    assert menu == names

    lora = lora_file(tmp_path, layout_of(*ATTENTION_GROUPS))
    weights = BlockWeights.for_lora(lora, {"IN04": 0.25})
    text = weights.to_string("pipes")
    assert text.count("|") == 19 and "0.25" in text
    assert BlockWeights.parse(text, lora) == BlockWeights.parse(text, lora, "pipes") == weights

    assert main(["convert", str(lora.path), text, "--from", "pipes", "--to", "plain"]) == 0
    assert capsys.readouterr().out.strip() == weights.to_string("plain")
    assert main(["convert", str(lora.path), text, "--to", "pipes"]) == 0
    assert capsys.readouterr().out.strip() == text


def test_an_unknown_format_is_an_error_with_all_names():
    with pytest.raises(ValueError, match="'pipes' is not a format of block weights. Expected one of plain, "):
        weights_of(layout_of("input_blocks.4")).to_string("pipes")

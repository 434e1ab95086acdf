"""The translations are of the nodes as they are, complete, and readable by ComfyUI's page."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests import pack

LOCALES = Path(__file__).resolve().parents[1] / "locales"
LANGUAGES = sorted(folder.name for folder in LOCALES.iterdir())
PACK = pack.load_pack()


def translated(language: str) -> dict[str, Any]:
    return json.loads((LOCALES / language / "nodeDefs.json").read_text(encoding="utf-8"))


def defined(name: str) -> dict[str, Any]:
    """A node's own texts in the form of a translation."""
    node = PACK.NODE_CLASS_MAPPINGS[name]
    inputs = node.INPUT_TYPES()
    found = {
        "display_name": PACK.NODE_DISPLAY_NAME_MAPPINGS[name],
        "description": node.DESCRIPTION,
        "inputs": {
            entry: {"name": entry, "tooltip": spec[1]["tooltip"]}
            for group in ("required", "optional")
            for entry, spec in inputs.get(group, {}).items()
        },
        "outputs": {
            str(slot): {"name": output, "tooltip": tooltip}
            for slot, (output, tooltip) in enumerate(zip(node.RETURN_NAMES, node.OUTPUT_TOOLTIPS))
        },
    }
    return {key: value for key, value in found.items() if value}


def keys_of(texts: Any) -> Any:
    """The structure without the words."""
    return {key: keys_of(value) for key, value in texts.items()} if isinstance(texts, dict) else None


def words_of(texts: Any) -> list[str]:
    return [word for value in texts.values() for word in words_of(value)] if isinstance(texts, dict) else [texts]


def test_english_is_not_translated():
    """ComfyUI's page shows a node's own texts where it knows no translation."""
    assert LANGUAGES == ["ja", "zh"]


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_translates_the_same(language):
    assert {name: keys_of(texts) for name, texts in translated(language).items()} == {
        name: keys_of(defined(name)) for name in PACK.NODE_CLASS_MAPPINGS
    }


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_text_is_empty_or_holds_signs_that_the_page_takes_for_its_own(language):
    """vue-i18n reads {}, @ and | as placeholders, links and plurals."""
    texts = words_of(translated(language))
    assert all(text.strip() for text in texts)
    assert [text for text in texts if re.search(r"[{}@|]", text)] == []

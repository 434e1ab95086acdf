"""The words of the panel on the page, in every language: those of its code, and the sentences about blocks of the server."""

from __future__ import annotations

import json
import re

import pytest

from appl_search.architectures import ARCHITECTURES
from appl_search.comparing import findings, verdict
from tests.pack import ROOT

WEB = ROOT / "web"
#: Names of what the server compares, without their numbers.
COMPARED = {
    "found", "no LoRA", "the start", "strength {strengths}", "strengths {strengths}", "the best single strength {strengths}",
    "the best single strengths {strengths}",
}  # fmt: skip
SOURCES = [path for folder in ("js", "panel", "lib") for path in sorted((WEB / folder).iterdir())]


def said() -> set[str]:
    """The English texts."""
    texts = re.findall(r'\bt\(("(?:[^"\\]|\\.)*")', "".join(path.read_text(encoding="utf-8") for path in SOURCES))
    assert len(texts) > 40
    about = {text for architecture in ARCHITECTURES.values() for text in architecture.about}
    return {json.loads(text) for text in texts} | about | {*verdict.SENTENCES.values(), *verdict.PICTURES.values(), *findings.SENTENCES.values(), *findings.PHRASES} | COMPARED


def places(text: str) -> list[str]:
    return sorted(re.findall(r"\{\w+\}", text))


@pytest.mark.parametrize("language", ["ja", "zh"])
def test_every_language_has_all_that_the_panel_says_and_nothing_else(language):
    words = json.loads((WEB / "words" / f"{language}.json").read_text(encoding="utf-8"))
    assert set(words) == said()
    assert [english for english, text in words.items() if places(text) != places(english) or not text.strip()] == []

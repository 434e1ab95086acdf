"""Results that were saved before load unchanged."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from appl_search import SearchResult

#: Of two LoRAs by gauss-newton, the second with a fixed rate and tied sections; written by version 0.1.0.
FILE = Path(__file__).parent / "data" / "result_0.1.0.json"
TEXT = FILE.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def result() -> SearchResult:
    return SearchResult.from_json(TEXT)


def test_a_result_of_version_0_1_0_is_written_again_as_it_was(result):
    saved, again = json.loads(TEXT), json.loads(result.to_json())
    assert saved.pop("settings").items() <= again.pop("settings").items()
    assert again == saved


def test_its_strings_are_those_that_version_0_1_0_wrote(result):
    first, second = result.block_weights
    assert first.to_string("inspire") == "0,0.551,0.677,0.645,0.479,0.521,0.51,0.49,0.391,0.509,0.526,1.18"
    assert second.to_string("inspire") == (
        "0,0.528,0.528,0.528,0.528,0.528,0.528,0.25,0.528,0.49,0.49,0.49,0.619,0.619,0.619,0.619,0.619,0.619,0.619,0.619,0.619"
    )


def test_its_penalty_path_says_what_it_said_in_version_0_1_0(result):
    single = result.penalty_path.best_single()
    assert single.strengths == pytest.approx((0.5822947833248927, 0.5038147745282167), rel=1e-9)
    assert single.predicted_loss == pytest.approx(1.4166661513752548, rel=1e-9)
    first, second = result.at_penalty(1e-3).block_weights
    assert (first["IN04"], first["IN05"]) == pytest.approx((0.5430526541985764, 0.6590625084275451), rel=1e-9)
    assert (second["IN00"], second["IN07"], second["OUT08"]) == pytest.approx((0.0, 0.25, 0.6014407962831243), rel=1e-9)


def test_an_architecture_that_is_not_known_is_named():
    with pytest.raises(ValueError, match="The architecture 'sd9' is not known. Expected one of sdxl"):
        SearchResult.from_json(TEXT.replace('"groups": {', '"architecture": "sd9", "groups": {', 1))

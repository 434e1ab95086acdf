"""Results that were saved before load unchanged, and a file with anything else in it is refused by the field."""

from __future__ import annotations

import json
import random
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
    assert [again.pop(name) for name in ("comparison", "ablation", "likeness")] == [None] * 3
    assert again.pop("notes") == [] and again.pop("rules") == ["", ""]
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


def changed(path: str, value: object) -> str:
    """The text of the file with another value at a path like "loras.0.name"; Ellipsis takes it out."""
    data = json.loads(TEXT)
    *way, last = [int(part) if part.isdigit() else part for part in path.split("/")]
    place = data
    for part in way:
        place = place[part]
    if value is ...:
        del place[last]
    else:
        place[last] = value
    return json.dumps(data)


@pytest.mark.parametrize(
    "path, value, message",
    [
        ("loras", [], "loras is a list of 0, expected at least one entry"),
        ("loras", {}, "loras is an object of 0, expected a list"),
        ("loras/0", None, "loras[0] is None, expected an object"),
        ("loras/0/name", 5, "loras[0].name is 5, expected a text"),
        ("loras/1/sha256", ..., "There is no field loras[1].sha256"),
        ("loras/0/groups/input_blocks.4", 10**9, "loras[0].groups.input_blocks.4 is 1000000000, expected a whole number from 0 to 10000"),
        ("loras/0/groups/input_blocks.4", 2.5, "groups.input_blocks.4 is 2.5, expected a whole number"),
        ("loras/0/groups/input_blocks.99", 1, "loras[0].groups.input_blocks.99 is no part of SDXL"),
        ("loras/0/block_weights/IN04", "1", "loras[0].block_weights.IN04 is '1', expected a finite number"),
        ("loras/0/block_weights/IN04", True, "loras[0].block_weights.IN04 is True, expected a finite number"),
        ("loras/0/block_weights/IN04", float("nan"), "is not JSON ('NaN is not a number in JSON')"),
        ("loras/0/block_weights/IN04", ..., "loras[0].block_weights has no rate for IN04"),
        ("loras/0/block_weights/IN44", 1, "'IN44' is not an SDXL block"),
        ("loras/0/block_weights/in04", 1, "in04 is there twice"),
        ("loras/0/stderr/IN04", -1, "loras[0].stderr.IN04 is -1, expected a finite number of at least 0"),
        ("settings", 3, "settings is 3, expected an object"),
        ("settings/samples", "4", "settings: "),
        ("settings/method", [], "settings: "),
        ("settings/no_such", 1, "settings: SearchSettings: there is no setting named no_such"),
        ("samples", -1, "samples is -1, expected a whole number from 0"),
        ("seconds", None, "seconds is None, expected a finite number of at least 0"),
        ("prediction", ..., "There is no field prediction"),
        ("history/loss/0", "x", "history.loss[0] is 'x', expected a finite number"),
        ("history/loss", [], "history.penalty is a list of"),
        ("history/loss/0", 1e200, "history.loss has a number that is too large"),
        ("history/block_weights/1", [], "history.block_weights[1] is a list of 0, expected a list of 2"),
        ("history/block_weights/1/0/3", None, "history.block_weights[1][0][3] is None, expected a finite number"),
        ("history/block_weights/1/0", [0.0] * 19, "history.block_weights[1][0] is a list of 19, expected a list of 20"),
        ("penalty_path/model/hessian/0", [1.0], "penalty_path.model.hessian[0] is a list of 1"),
        ("penalty_path/model/counts/0", 0, "one of counts is below 1"),
        ("penalty_path/model/lower", "low", "penalty_path.model.lower is 'low', expected a finite number"),
        ("penalty_path/parameter_of/0", 10**6, "penalty_path.parameter_of[0] is 1000000, expected a whole number from -1"),
        ("penalty_path/constant", [0.0], "penalty_path.constant is a list of 1, expected a list of 40"),
    ],
)  # fmt: skip
def test_a_wrong_field_is_named(path, value, message):
    with pytest.raises(ValueError) as error:
        SearchResult.from_json(changed(path, value))
    assert message in str(error.value)


ODD = (
    None, True, False, 0, -1, 2**70, 10**400, 1e308, -1e308, 5e-324, "", "x", "x" * 5000, "\ud800", [], [[]], [None], {}, {"a": 1}, "NaN", "1e9",
)  # fmt: skip
PIECES = ("NaN", "Infinity", "-Infinity", "1e999", "9" * 5000, "[", "]", "{", "}", '"', ",", ":", "\\", "\0", "null", "-", "\ufeff", '"a":1,', "[" * 3000)


def containers(data: object) -> list:
    """All lists and objects of JSON that have something in them."""
    if not isinstance(data, (list, dict)) or not data:
        return []
    below = data.values() if isinstance(data, dict) else data
    return [data, *(one for each in below for one in containers(each))]


def mutated(data: object) -> str:
    """The file with one to three changes of its values or of its text."""
    data = json.loads(json.dumps(data))
    for _ in range(random.randint(0, 2)):
        place = random.choice(containers(data)[: random.choice((12, 10**6))] or [{}])
        key = random.choice(list(place) if isinstance(place, dict) else range(len(place))) if place else "x"
        change = random.randrange(4)
        if change == 0 and place:
            del place[key]
        elif change == 1 and isinstance(place, list):
            place.insert(key, random.choice(ODD))
        elif change == 2 and isinstance(place, dict):
            place[random.choice(("x", "BASE", "in04", "", "input_blocks.4", "y" * 3000))] = random.choice(ODD)
        else:
            place[key] = random.choice(ODD)
    text = json.dumps(data)
    for _ in range(random.randint(0, 1)):
        start = random.randrange(len(text) + 1)
        text = text[:start] + random.choice(PIECES) + text[start + random.choice((0, 1, 10, len(text))) :]
    return text


def test_mutated_files_are_loaded_whole_or_refused_in_few_words():
    random.seed(11)
    data, refused = json.loads(TEXT), 0
    for _ in range(300):
        text = mutated(data)
        try:
            loaded = SearchResult.from_json(text)
        except ValueError as error:
            assert 10 < len(str(error)) <= 500, str(error)
            refused += 1
        else:
            assert json.loads(loaded.to_json(), parse_constant=pytest.fail)
            assert all(weights.to_string("json") for weights in loaded.block_weights)
    assert 150 < refused < 290

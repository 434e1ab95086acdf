"""A setting is declared once: every door shows it as it is declared, and a new one needs no other place."""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass

import pytest

from appl_search import PreviewSettings, SearchSettings
from appl_search.cli import demo, main, options
from appl_search.settings.declaration import (
    ADVANCED,
    LOADER,
    MISSING,
    NOISE,
    PREVIEWS,
    SEARCH,
    Setting,
    declared,
    setting,
)
from tests import pack
from tests.help_table import input_table

PACK = pack.load_pack()
NODES = PACK.NODE_CLASS_MAPPINGS
NODE_OF_GROUP = {
    SEARCH: "ApplSearchRun",
    ADVANCED: "ApplSearchSettings",
    NOISE: "ApplSearchNoiseAndLoss",
    LOADER: "ApplSearchLoadLora",
    PREVIEWS: "ApplSearchPreviews",
}
#: As 0.1.0 had them: a saved workflow stores widgets by their place.
WIDGETS_OF_0_1_0 = {
    "ApplSearchLoadLora": ["lora_name", "init"],
    "ApplSearchRun": ["method", "samples", "penalty", "seed", "chosen_penalty"],
    "ApplSearchSettings": [
        "batch_size", "negative_penalty", "use_bounds", "minimum", "maximum", "min_snr_gamma", "learning_rate", "lr_schedule",
        "weight_decay", "tolerance", "validation",
    ],
    "ApplSearchPreviews": [
        "prompt", "negative", "every", "width", "height", "steps", "cfg", "sampler_name", "scheduler", "picture_seed",
    ],
}  # fmt: skip
#: Where the value that stands for None is not the widget's own default.
SHOWN = {"held_out": -1.0, "min_snr_gamma": 0.0, "minimum": 0.0, "maximum": 1.0}
ALL = [(owner, each) for owner in (SearchSettings, PreviewSettings) for each in declared(owner)]

each_setting = pytest.mark.parametrize(
    "owner, declaration", ALL, ids=[f"{owner.__name__}.{each.name}" for owner, each in ALL]
)


def inputs(node: str) -> dict[str, tuple]:
    found = NODES[node].INPUT_TYPES()
    return {**found.get("required", {}), **found.get("optional", {})}


def is_widget(spec: tuple) -> bool:
    return isinstance(spec[0], list) or spec[0] in ("INT", "FLOAT", "STRING", "BOOLEAN")


@dataclass(frozen=True, kw_only=True)
class OneMore(SearchSettings):
    warmth: float = setting(
        0.25, help="How warm it is.", group=ADVANCED, minimum=0, maximum=1, step=0.05, added_later=True
    )  # fmt: skip


@pytest.mark.parametrize("node", WIDGETS_OF_0_1_0)
def test_widgets_keep_their_places(node):
    expected = WIDGETS_OF_0_1_0[node]
    assert [name for name, spec in inputs(node).items() if is_widget(spec)][: len(expected)] == expected


@each_setting
def test_a_setting_is_a_widget_of_its_group_s_node(owner: type, declaration: Setting):
    kind, given = inputs(NODE_OF_GROUP[declaration.group])[declaration.widget_name]
    if declaration.default is not MISSING:
        assert given["default"] == (SHOWN[declaration.name] if declaration.default is None else declaration.default)
    assert given["tooltip"].startswith(declaration.help)
    if declaration.choices:
        assert kind == list(declaration.choices)
    if declaration.kind in (int, float):
        assert kind == {int: "INT", float: "FLOAT"}[declaration.kind]
        assert given.get("step") == declaration.step
        bounds = {"widget's lower end": given["min"], "widget's upper end": given["max"]}
        assert all(declaration.is_allowed(declaration.read(bound)) for bound in bounds.values()), bounds


@each_setting
def test_a_setting_is_translated_and_on_its_node_s_help_page(owner: type, declaration: Setting):
    node, name = NODE_OF_GROUP[declaration.group], declaration.widget_name
    page = (pack.ROOT / "web" / "docs" / f"{node}.md").read_text(encoding="utf-8")
    assert f"| {name} | " in page
    for language in ("ja", "zh"):
        texts = json.loads((pack.ROOT / "locales" / language / "nodeDefs.json").read_text(encoding="utf-8"))
        assert set(texts[node]["inputs"][name]) == {"name", "tooltip"}


@pytest.mark.parametrize("owner", [SearchSettings, PreviewSettings])
def test_a_setting_is_an_option_of_the_command_line(owner):
    parser = argparse.ArgumentParser()
    options.add_settings(parser, owner, "settings")
    required = {each.name: "text" for each in declared(owner) if each.default is MISSING}
    shown = parser.format_help()
    for each in declared(owner):
        assert f"--{each.name.replace('_', '-')}" in shown
        assert " ".join(each.help.split()[:3]) in " ".join(shown.split())
    arguments = [part for name in required for part in (f"--{name}", "text")]
    assert options.given_settings(parser.parse_args(arguments), owner) == owner(**required)


def test_the_demo_searches_with_the_settings_that_it_is_given(monkeypatch):
    seen = []
    monkeypatch.setattr(demo, "run", lambda settings, output: seen.append(settings))
    given = "--min-snr-gamma 5 --minimum -1 --batch-size 3 --method adamw --lr-schedule constant --init 0.25"
    assert main.main(["demo", *given.split()]) == 0
    assert seen == [
        SearchSettings(min_snr_gamma=5.0, minimum=-1.0, batch_size=3, method="adamw", lr_schedule="constant", init=0.25)
    ]


def test_a_value_that_is_not_allowed_is_refused_at_the_command_line(capsys):
    assert main.main(["demo", "--samples", "0"]) == 2
    assert capsys.readouterr().err == "error: SearchSettings: samples is 0, expected a whole number of at least 1.\n"


def test_bounds_are_those_of_the_widgets_only_with_use_bounds():
    (off,) = NODES["ApplSearchSettings"]().make(use_bounds=False, minimum=-0.5, maximum=1.5)
    (on,) = NODES["ApplSearchSettings"]().make(use_bounds=True, minimum=-0.5, maximum=1.5)
    assert (off.minimum, off.maximum, on.minimum, on.maximum) == (None, None, -0.5, 1.5)


def test_an_input_that_is_no_setting_is_refused():
    with pytest.raises(TypeError, match="no input named warmth. Expected batch_size"):
        NODES["ApplSearchSettings"]().make(warmth=0.5)


@pytest.mark.parametrize("value", [-0.1, 1.5, float("nan"), "hot", None, True])
def test_a_new_setting_is_checked(value):
    with pytest.raises(ValueError, match=f"^OneMore: warmth is {value!r}, expected a number from 0 to 1.$"):
        OneMore(warmth=value)


def test_a_new_setting_is_at_every_door_without_another_line(monkeypatch, capsys):
    node = NODES["ApplSearchSettings"]
    monkeypatch.setattr(node, "SETTINGS", OneMore)
    widget = {"default": 0.25, "min": 0, "max": 1, "step": 0.05, "tooltip": "How warm it is."}
    assert list(node.INPUT_TYPES()["optional"].items())[-1] == ("warmth", ("FLOAT", widget))
    assert node().make(warmth=0.5) == (OneMore(warmth=0.5),)
    assert node().make() == (OneMore(),)  # a workflow that was saved before there was this widget
    assert input_table(node).endswith("| warmth | How warm it is. | 0.25 |\n")

    seen = []
    monkeypatch.setattr(demo, "SearchSettings", OneMore)
    monkeypatch.setattr(demo, "run", lambda settings, output: seen.append(settings))
    assert main.main(["demo", "--warmth", "0.75"]) == 0
    assert seen == [OneMore(warmth=0.75)]
    with pytest.raises(SystemExit):
        main.main(["demo", "--help"])
    assert "How warm it is. (0.25)" in capsys.readouterr().out

    assert OneMore.from_dict(SearchSettings(samples=5).to_dict()) == OneMore(samples=5)

"""The panel on a small screen, and in the languages of the page."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.end_to_end.chromium import PANEL, ComfyPage
from tests.end_to_end.comfy_server import ComfyServer
from tests.end_to_end.demo_graph import short_demo, with_previews
from tests.end_to_end.looks import box_of_the_node, hidden_below, sticking_out
from tests.end_to_end.searched import LAST_SEED, VERDICT, of_loras, searched

SCREEN = {"width": 1366, "height": 768}
SMALL = [440, 100]  # less than any panel needs


@pytest.fixture
def small_screen(page: ComfyPage):
    """A page on a laptop's screen."""
    size = page.page.viewport_size
    page.page.set_viewport_size(SCREEN)
    yield page
    page.page.set_viewport_size(size)


def room(page: ComfyPage) -> float:
    """The height of the window below the page's bars across all of it."""
    bars = "[...document.querySelectorAll('.comfyui-body-top, .workflow-tabs-container')].map((one) => one.getBoundingClientRect())"
    return SCREEN["height"] - page.js(f"Math.max(...{bars}.filter((one) => one.width === innerWidth).map((one) => one.bottom))")


def as_small_as_can_be(page: ComfyPage) -> float:
    """The height of the search node on the screen, after somebody has made it as small as they can."""
    page.js("(node.setSize(argument), node.setSize([argument[0], node.computeSize()[1]]), app.canvas.setDirty(true, true))", SMALL)
    page.look_at()
    _, top, _, bottom = box_of_the_node(page)
    return bottom - top


@pytest.mark.parametrize("loras", [1, 2, 8])
def test_the_node_fits_a_small_screen_without_scrolling(small_screen: ComfyPage, comfy: ComfyServer, loras: int, screenshots: Path | None, request: pytest.FixtureRequest):
    """At 100 %, with and without pictures, and with all that a search can say."""
    page = small_screen
    searched(page, with_previews(short_demo(LAST_SEED)))
    state = {**of_loras(page.state(comfy), loras), "verdict": None}
    verdict = {**VERDICT, "use_instead": {"strengths": [0.62] * loras}}
    for name, shown in (("found", state), ("plain", {**state, "previews": None}), ("verdict", {**state, "verdict": verdict})):
        page.heard_of(shown)
        height = as_small_as_can_be(page)
        page.shoot(screenshots, f"small_{request.node.callspec.id}_{name}")
        assert height <= room(page)
        assert sticking_out(page) == [] and hidden_below(page) == []
    assert page.errors == []


@pytest.mark.parametrize("locale", ["ja", "zh"])
def test_it_fits_in_other_languages_too(small_screen: ComfyPage, comfy: ComfyServer, locale: str, screenshots: Path | None, request: pytest.FixtureRequest):
    page = small_screen
    page.set("Comfy.Locale", locale)
    page.reload()
    searched(page, with_previews(short_demo(LAST_SEED)), "32")
    page.heard_of({**of_loras(page.state(comfy), 2), "verdict": {**VERDICT, "use_instead": {"strengths": [0.62] * 2}}})
    assert as_small_as_can_be(page) <= room(page)
    page.shoot(screenshots, f"small_{request.node.callspec.id}")
    assert VERDICT["text"] not in page.status() and "0.62" in page.status()
    assert sticking_out(page) == [] and hidden_below(page) == []
    assert page.errors == []


def test_a_narrow_node_shows_all_of_it(page: ComfyPage, comfy: ComfyServer, screenshots: Path | None, request: pytest.FixtureRequest):
    searched(page, with_previews(short_demo(LAST_SEED)))
    page.heard_of({**page.state(comfy), "verdict": {**VERDICT, "use_instead": {"strengths": [0.62] * 2}}})
    page.js("node.setSize([330, 400])")
    page.settle()
    page.settle()
    page.shoot(screenshots, f"narrow_{request.node.callspec.id}")
    assert page.js("node.size[0]") < 400
    assert sticking_out(page) == [] and hidden_below(page) == []
    assert page.errors == []


def test_the_figures_for_experts_stay_as_they_were_left(page: ComfyPage):
    searched(page)
    closed = page.js("node.size[1]")
    assert page.page.locator(f"{PANEL} input[type=range]").is_hidden()
    page.unfold()
    assert page.js("node.widgets.find((one) => one.name === 'chosen_penalty').hidden") is False
    assert page.js("node.size[1]") >= closed
    page.wait_until_kept("appl_search_expert")
    page.reload()
    page.wait_for_panel()
    page.look_at()
    page.page.locator(f"{PANEL} input[type=range]").wait_for()
    page.page.locator(f"{PANEL} summary").click()
    page.page.locator(f"{PANEL} input[type=range]").wait_for(state="hidden")
    assert page.js("node.widgets.find((one) => one.name === 'chosen_penalty').hidden") is True
    assert page.errors == []

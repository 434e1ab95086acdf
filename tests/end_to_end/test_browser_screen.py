"""The panel on a small screen, and in the languages of the page."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.end_to_end.chromium import PANEL, ComfyPage
from tests.end_to_end.comfy_server import ComfyServer
from tests.end_to_end.demo_graph import SAMPLES, short_demo, with_previews
from tests.end_to_end.looks import box_of_the_node, hidden_below, sticking_out
from tests.end_to_end.searched import LAST_SEED, VERDICT, of_loras, searched

SCREEN = {"width": 1366, "height": 768}
LANGUAGES = {"canvas": ("ja", "まだ探索していません"), "nodes2": ("zh", "尚未搜索")}  # another one in each renderer: each takes a reload of the page
SMALL = [440, 100]  # lower than any panel
ROW = 28  # pixels from one of ComfyUI's widgets to the next


@pytest.fixture
def small_screen(page: ComfyPage):
    """A page on a laptop's screen."""
    size = page.page.viewport_size
    page.page.set_viewport_size(SCREEN)
    yield page
    page.page.set_viewport_size(size)


def room(page: ComfyPage) -> float:
    """The height of the window below the page's bars across all of it.

    And what ComfyUI's own rows take more than they do now: those of Nodes 2.0 as a beta (0.14.1) were higher.
    """
    bars = "[...document.querySelectorAll('.comfyui-body-top, .workflow-tabs-container')].map((one) => one.getBoundingClientRect())"
    below = SCREEN["height"] - page.js(f"Math.max(...{bars}.filter((one) => one.width === innerWidth).map((one) => one.bottom))")
    rows = page.js(
        "[...(document.querySelector('.appl-search').closest('.lg-node')?.querySelectorAll('.lg-node-widget') ?? [])]"
        ".map((one) => one.getBoundingClientRect().top)"
    )
    return below + sum(max(row - before - ROW, 0) for before, row in zip(rows, rows[1:]))


def drag_its_corner(page: ComfyPage, size: list[float]) -> None:
    """Makes the search node this wide and high, or as small as it can be, with the mouse."""
    corner = page.page.locator(".lg-node", has=page.page.locator(PANEL)).locator(".cursor-se-resize")
    page.look_at()
    left, top, _, bottom = box_of_the_node(page)
    hidden = max(bottom - SCREEN["height"] + 40, 0)  # below the window
    page.look_from(*page.js("[node.pos[0] - 120, node.pos[1] - 100 + argument]", hidden), 1.0)
    page.settle()
    box, mouse = corner.bounding_box(), page.page.mouse
    mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    mouse.down()
    mouse.move(left + size[0], top + size[1] - hidden, steps=3)
    page.settle()
    mouse.up()


def as_small_as_can_be(page: ComfyPage) -> float:
    """The height of the search node on the screen, after somebody has made it as small as they can."""
    if page.renderer == "nodes2":
        drag_its_corner(page, SMALL)  # older ones keep the size of a node that a program changes
    else:
        page.js("(node.setSize(argument), node.setSize([argument[0], node.computeSize()[1]]), app.canvas.setDirty(true, true))", SMALL)
    page.look_at()
    _, top, _, bottom = box_of_the_node(page)
    return bottom - top


def test_the_node_fits_a_small_screen_without_scrolling(small_screen: ComfyPage, comfy: ComfyServer, screenshots: Path | None):
    """At 100 %, with one LoRA, two and eight, with and without pictures, and with all that a search can say."""
    page = small_screen
    searched(page, with_previews(short_demo(LAST_SEED)))
    found = page.state(comfy)
    for loras in (1, 2, 8):
        state = {**of_loras(found, loras), "verdict": None}
        verdict = {**VERDICT, "use_instead": {"strengths": [0.62] * loras}}
        for name, shown in (("found", state), ("plain", {**state, "previews": None}), ("verdict", {**state, "verdict": verdict})):
            page.heard_of(shown)
            height = as_small_as_can_be(page)
            page.shoot(screenshots, f"small_{page.renderer}_{loras}_{name}")
            assert height <= room(page), (loras, name)
            assert sticking_out(page) == [] and hidden_below(page) == [], (loras, name)
    assert page.errors == []


def test_it_speaks_the_language_of_the_page_and_fits_too(small_screen: ComfyPage, comfy: ComfyServer, screenshots: Path | None):
    page, workflow = small_screen, with_previews(short_demo(LAST_SEED))
    locale, status = LANGUAGES[page.renderer]
    page.set("Comfy.Locale", locale)
    page.reload()
    page.load(workflow)
    assert page.status() == status
    searched(page, workflow, str(SAMPLES))
    page.heard_of({**of_loras(page.state(comfy), 2), "verdict": {**VERDICT, "use_instead": {"strengths": [0.62] * 2}}})
    assert as_small_as_can_be(page) <= room(page)
    page.shoot(screenshots, f"small_{page.renderer}_{locale}")
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
    page.load(page.js("app.graph.serialize()"))
    page.page.locator(f"{PANEL} input[type=range]").wait_for()
    page.page.locator(f"{PANEL} summary").click()
    page.page.locator(f"{PANEL} input[type=range]").wait_for(state="hidden")
    assert page.js("node.widgets.find((one) => one.name === 'chosen_penalty').hidden") is True
    assert page.errors == []

"""The panel in a real browser, in graphs with more than one search in them, above them and behind them."""

from __future__ import annotations

import pytest

from tests.end_to_end.chromium import PANEL, PATIENCE, RENDERERS, ComfyPage
from tests.end_to_end.comfy_server import ComfyServer
from tests.end_to_end.demo_graph import SAMPLES, short_demo, with_another_search, with_previews, with_report
from tests.end_to_end.looks import sticking_out

TWO = 90  # the first seed of two searches in one graph
FOUND = f"{SAMPLES} samples in"


@pytest.fixture
def seed(request: pytest.FixtureRequest) -> int:
    """One that no other test has searched with: ComfyUI would answer from its cache."""
    tests = [name for name in globals() if name.startswith("test_")]
    return 100 + 10 * tests.index(request.node.originalname) + RENDERERS.index(request.node.callspec.params["page"])


def test_preview_pictures_appear_while_it_searches_and_stay(page: ComfyPage, comfy: ComfyServer, seed: int):
    before, after = (page.page.locator(f"{PANEL} img").nth(number) for number in range(2))
    page.load(with_previews(short_demo(seed, samples=16)))
    assert not before.is_visible()
    page.queue()
    page.wait_for_status("Step ")
    page.page.wait_for_function(f"document.querySelector('{PANEL} img').naturalWidth > 0")
    assert before.get_attribute("alt") == "Before: start"
    assert "type=temp" in before.get_attribute("src")
    page.wait_for_status("samples in")
    assert (before.get_attribute("alt"), after.get_attribute("alt")) == ("Before: start", "After: found")
    assert sticking_out(page) == []
    with page.page.expect_popup() as popup:
        after.click()
    assert popup.value.evaluate("document.images[0].naturalWidth") == after.evaluate("(image) => image.naturalWidth")
    popup.value.close()
    page.load(page.js("app.graph.serialize()"))
    page.page.wait_for_function(f"document.querySelector('{PANEL} img')?.naturalWidth > 0")
    assert "type=output" in after.get_attribute("src")
    assert page.errors == []


def test_two_searches_in_one_graph_keep_to_their_own_panels(canvas_page: ComfyPage):
    canvas_page.load(with_another_search(short_demo(TWO), TWO + 1))
    canvas_page.queue()
    for panel in (0, 1):
        canvas_page.wait_for_status(FOUND, panel=panel)
        canvas_page.wait_for_string(panel)
    first, second = canvas_page.string(0), canvas_page.string(1)
    assert first != second
    canvas_page.unfold(panel=1)
    canvas_page.page.locator(f"{PANEL} input[type=range]").nth(1).fill("36")
    canvas_page.wait_for_string(1, other_than=second)
    assert canvas_page.string(0) == first
    assert canvas_page.errors == []


def test_a_search_goes_on_behind_another_tab(page: ComfyPage, seed: int):
    page.load(short_demo(seed, samples=32))
    page.queue()
    page.wait_for_status("Step ")
    first = page.open_tabs()[-1]
    page.load(short_demo(seed + 5))
    assert len(page.open_tabs()) >= 2
    page.js("app.api.addEventListener('progress', () => (window.stepsHeard = (window.stepsHeard ?? 0) + 1))")
    page.page.wait_for_function("window.stepsHeard >= 3")
    page.settle()
    assert page.status() == "No search yet", "the other workflow's search, whose node has the same id"
    page.go_to_tab(first)
    page.wait_for_status("32 samples in")
    assert page.wait_for_string()
    assert page.errors == []


def test_a_search_in_a_subgraph_is_seen_inside_it(page: ComfyPage, seed: int):
    page.load(short_demo(seed))
    page.js("app.canvas.graph.convertToSubgraph(new Set([node])) && null")
    page.settle()
    page.queue()
    output = page.page.locator(".appl-search-text textarea").first
    output.wait_for(timeout=PATIENCE * 1000)
    page.page.evaluate("app.canvas.setGraph(app.graph.nodes.find((one) => one.subgraph).subgraph)")
    page.wait_for_status(FOUND)
    page.settle()  # ComfyUI looks at all of a graph that it has not shown before, with a frame of its own
    x, y = page.page.evaluate("[...app.canvas.graph.nodes[0].pos]")
    page.look_from(x - 120, y - 100, 1.0)
    found = page.wait_for_string()
    page.unfold()
    page.page.locator(f"{PANEL} input[type=range]").fill("36")
    chosen = page.wait_for_string(other_than=found)
    page.button("Use this").click()
    page.queue()
    page.button("In use").wait_for(timeout=PATIENCE * 1000)
    page.page.wait_for_function(f"(chosen) => document.querySelector('{PANEL} textarea').value === chosen", arg=chosen)
    assert page.errors == []


def test_the_report_opens_from_its_node(page: ComfyPage, seed: int):
    page.load(with_report(short_demo(seed)))
    page.look_at("ApplSearchReport")
    page.queue()
    link = page.page.get_by_role("link", name="Open the report")
    with page.page.expect_popup() as popup:
        link.click(timeout=PATIENCE * 1000)
    report = popup.value
    report.wait_for_load_state()
    assert report.locator("h1").count() == 1
    assert report.locator("svg").count() + report.locator("img").count() >= 1
    assert "OUT08" in report.content()
    assert page.errors == []

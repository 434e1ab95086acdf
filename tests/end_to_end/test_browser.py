"""The search node's panel in a real browser; what the page draws and keeps, in both of ComfyUI's renderers.

BROWSER_SCREENSHOTS names a folder for pictures of it.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.end_to_end.building import the_search
from tests.end_to_end.chromium import PANEL, PATIENCE, RENDERERS, VUE_NODES, ComfyPage
from tests.end_to_end.comfy_server import ComfyServer
from tests.end_to_end.demo_graph import short_demo
from tests.end_to_end.looks import BARS, LOSS, contrast, pixels, sticking_out
from tests.end_to_end.searched import LAST_SEED, searched

WATCHED_SAMPLES = 16  # some seconds, so that the chart can be looked at before the end
CHANGED = "Changed by a test"  # a title


def drag_slider(page: ComfyPage, point: int) -> str:
    """Moves the slider, and returns the string once it is that point's."""
    before = page.string()
    page.unfold()
    page.page.locator(f"{PANEL} input[type=range]").fill(str(point))
    return page.wait_for_string(other_than=before)


def test_the_chart_is_drawn_while_it_searches_and_all_of_it_works_after(page: ComfyPage, comfy: ComfyServer, screenshots: Path | None, request: pytest.FixtureRequest):
    name = request.node.callspec.id
    page.load(short_demo(LAST_SEED - 1 + RENDERERS.index(name), WATCHED_SAMPLES, comparison=8))
    assert page.status() == "No search yet"
    assert pixels(page, BARS) == 0
    page.queue()
    page.wait_for_status("Step ")
    page.settle()
    assert pixels(page, BARS) > 100, "no bars"
    first = page.js("document.querySelector('.appl-search-bars canvas').toDataURL()")
    page.shoot(screenshots, f"{name}_searching")
    page.wait_for_status(f"{WATCHED_SAMPLES} samples in")
    page.settle()
    assert page.js("document.querySelector('.appl-search-bars canvas').toDataURL()") != first, "the bars did not move"
    assert " pictures, each by what the search knows without it" in page.page.locator(f"{PANEL} [role=status]").inner_text()
    page.shoot(screenshots, f"{name}_found")
    page.unfold()
    assert pixels(page, LOSS) > 100, "no loss curve"
    sentences = [finding["text"] for finding in page.state(comfy)["findings"]]
    assert page.page.locator(f"{PANEL} details li").all_inner_texts() == sentences != []
    page.shoot(screenshots, f"{name}_expert")

    found = page.string()
    page.button("Copy").click()
    assert page.js("navigator.clipboard.readText()") == found
    page.button("Copy all").click()
    assert found in page.js("navigator.clipboard.readText()")
    for button, ending in (("JSON", ".json"), ("PNG", ".png")):
        with page.page.expect_download() as download:
            page.button(button).click()
        assert download.value.suggested_filename.endswith(ending)
        assert Path(download.value.path()).stat().st_size > 5000

    chart = page.page.locator(f"{PANEL} [role=application]")
    chart.focus()
    page.page.keyboard.press("End")
    assert "OUT08" in page.page.locator(f"{PANEL} [aria-live=polite]").inner_text()
    assert page.errors == []


def test_a_point_of_the_slider_reaches_the_outputs_without_another_search(page: ComfyPage, comfy: ComfyServer):
    searched(page)
    results = comfy.output_folder / "block_weights"
    files = set(results.rglob("*.json"))
    chosen = drag_slider(page, 36)
    assert set(results.rglob("*.json")) == files
    page.button("Use this").click()
    assert page.widgets()["chosen_penalty"] > 0
    page.queue()
    page.button("In use").wait_for(timeout=PATIENCE * 1000)
    page.page.wait_for_function("(chosen) => document.querySelector('.appl-search textarea').value === chosen", arg=chosen)
    assert set(results.rglob("*.json")) == files, "it searched again"
    page.button("Reset").click()
    assert page.widgets()["chosen_penalty"] == -1
    assert page.string() != chosen
    assert page.errors == []


def test_the_state_survives_reload_undo_copy_and_the_other_renderer(page: ComfyPage):
    searched(page)
    page.unfold()
    status, found = page.status(), page.string()

    def all_is_there() -> None:
        page.wait_for_panel()
        page.wait_for_status(status)
        assert page.wait_for_string() == found

    page.js("(node.title = argument, app.extensionManager.workflow.activeWorkflow.changeTracker.checkState())", CHANGED)
    page.js("app.extensionManager.workflow.activeWorkflow.changeTracker.undo()")
    page.page.wait_for_function(f"app.graph.nodes.every((one) => one.title !== '{CHANGED}')")
    all_is_there()
    if page.has_nodes2():
        nodes2 = page.js(f"app.extensionManager.setting.get('{VUE_NODES}')")
        for other in (not nodes2, nodes2):
            page.set(VUE_NODES, other)
            page.page.locator(".lg-node").first.wait_for(state="attached" if other else "detached")
            all_is_there()
    saved = page.js("JSON.stringify(node.serialize())")
    assert len(saved) < 3000, "the result is in the workflow"
    page.js("(app.canvas.copyToClipboard([node]), app.canvas.pasteFromClipboard())")
    assert page.wait_for_string(panel=1) == found
    assert page.page.locator(PANEL).count() == 2 and page.string() == found
    page.js("app.graph.remove(app.graph.nodes.findLast((one) => one.type === 'ApplSearchRun'))")
    page.js("node.title = argument", CHANGED)
    page.wait_until_kept(CHANGED)
    page.reload()
    all_is_there()
    assert page.page.locator(f"{PANEL} details").get_attribute("open") is not None
    assert page.errors == []


def test_a_removed_node_leaves_no_panel_and_no_listener(page: ComfyPage):
    assert page.listeners("appl_search.progress") == 1
    page.load(short_demo(LAST_SEED))
    executed = page.listeners("executed")
    for _ in range(3):
        page.js("app.graph.remove(node)")
        page.page.locator(PANEL).wait_for(state="detached")
        page.load(short_demo(LAST_SEED))
        assert page.page.locator(PANEL).count() == 1
    assert page.listeners("appl_search.progress") == 1
    assert page.listeners("executed") == executed
    assert page.errors == []


def test_it_looks_well_in_both_themes(page: ComfyPage, screenshots: Path | None, request: pytest.FixtureRequest):
    """Text stands out from the panel, and nothing sticks out of it. The pictures are for eyes."""
    searched(page)
    for palette in ("dark", "light"):
        page.set("Comfy.ColorPalette", palette)
        page.settle()
        assert contrast(page) > 4.5
        for zoom in (1.0, 0.6):
            page.look_at(zoom=zoom)
            assert sticking_out(page) == []
            page.shoot(screenshots, f"{request.node.callspec.id}_{palette}_{zoom:g}")
    assert page.errors == []


def test_finish_now_ends_a_search_that_was_found_again_after_a_reload(canvas_page: ComfyPage):
    workflow = short_demo(LAST_SEED + 1, samples=100_000)
    the_search(workflow)["widgets_values"][0] = "adamw"  # it never ends early by itself
    canvas_page.load(workflow)
    canvas_page.queue()
    canvas_page.wait_for_status("Step ")
    canvas_page.reload()
    canvas_page.wait_for_status("Step ", "/100000 samples")
    canvas_page.button("Finish now").click()
    canvas_page.wait_for_status("of 100000 samples in")
    assert canvas_page.wait_for_string()
    assert canvas_page.errors == []


def test_cancel_leaves_what_was_found_in_the_panel(canvas_page: ComfyPage):
    workflow = short_demo(LAST_SEED + 2, samples=100_000)
    the_search(workflow)["widgets_values"][0] = "adamw"
    canvas_page.load(workflow)
    canvas_page.queue()
    canvas_page.wait_for_status("Step ")
    canvas_page.js("app.api.interrupt()")
    canvas_page.wait_for_status("Cut off", "of 100000 samples in")
    assert canvas_page.wait_for_string()
    assert pixels(canvas_page, BARS) > 100, "no bars"
    assert canvas_page.errors == []


def test_the_help_page_opens_beside_the_canvas_with_its_picture(canvas_page: ComfyPage):
    canvas_page.load(short_demo(LAST_SEED))
    canvas_page.look_at(zoom=0.8)
    canvas_page.js("app.canvas.selectNode(node)")
    canvas_page.page.get_by_test_id("info-button").click()
    picture = canvas_page.page.locator("img[src*='docs/images/ApplSearchRun.jpg']")
    picture.wait_for()
    canvas_page.page.wait_for_function("document.querySelector('img[src*=ApplSearchRun]').naturalWidth > 0")
    assert canvas_page.errors == []
    canvas_page.reload()  # older hosts keep the help page open above the canvas

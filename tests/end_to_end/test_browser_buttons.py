"""What the panel's buttons do to the graph and hand out, in a real browser."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

from tests.end_to_end.chromium import PANEL, PATIENCE, RENDERERS, ComfyPage
from tests.end_to_end.comfy_server import ComfyServer
from tests.end_to_end.demo_graph import SAMPLES, short_demo
from tests.end_to_end.searched import LAST_SEED, VERDICT, of_loras, searched

LOADER = "LoraLoaderBlockWeight //Inspire"
PINS = 400  # a seed of no other test


def wait_for(page: ComfyPage, condition: str, argument: Any = None) -> None:
    page.page.wait_for_function(f"(argument) => {{ const node = app.graph.nodes.find((one) => one.type === 'ApplSearchRun'); return {condition}; }}", arg=argument)


def undo(page: ComfyPage) -> None:
    page.js("app.extensionManager.workflow.activeWorkflow.changeTracker.undo()")
    page.wait_for_panel()


def toasts(page: ComfyPage) -> str:
    return " ".join(page.page.locator(".p-toast-detail").all_inner_texts())


def test_save_a_lora_writes_files_that_loaders_find(canvas_page: ComfyPage, comfy: ComfyServer):
    searched(canvas_page)
    folder = comfy.base / "models" / "loras"
    before = set(folder.glob("*_lbw_*"))
    canvas_page.button("Save a LoRA").click()
    canvas_page.page.get_by_text("Saved as").first.wait_for()
    new = sorted(set(folder.glob("*_lbw_*")) - before)
    assert [path.name.rpartition("_lbw_")[0] for path in new] == ["character", "style"]
    assert all(load_file(path) for path in new)
    assert all(str(path) in toasts(canvas_page) for path in new)
    assert new[0].name in comfy.get_json("/object_info/LoraLoader")["LoraLoader"]["input"]["required"]["lora_name"][0]
    assert canvas_page.errors == []


def test_the_report_opens_in_a_tab_of_its_own(canvas_page: ComfyPage):
    searched(canvas_page)
    with canvas_page.page.expect_popup() as popup:
        canvas_page.page.locator(PANEL).get_by_role("link", name="Report").click()
    report = popup.value
    report.wait_for_load_state()
    assert report.locator("h1").inner_text().startswith("Block weights of")
    assert report.locator("svg").count() >= 2 and "OUT08" in report.content()
    report.close()
    assert canvas_page.errors == []


def test_without_an_inspire_loader_its_string_is_copied(canvas_page: ComfyPage):
    searched(canvas_page)
    canvas_page.page.locator(f"{PANEL} select").nth(1).select_option("json")
    canvas_page.button("Use in Inspire").click()
    canvas_page.page.get_by_text("Paste it into block_vector").first.wait_for()
    copied = canvas_page.js("navigator.clipboard.readText()")
    assert len(copied.split(",")) == 12 and all(float(number) >= 0 for number in copied.split(","))
    assert canvas_page.errors == []


def test_an_inspire_loader_of_the_lora_gets_its_vector_and_undo_takes_it_back(page: ComfyPage, comfy: ComfyServer, loras_folder: Path):
    if LOADER not in comfy.get_json("/object_info"):
        pytest.skip("INSPIRE_PATH is not set: set it to the folder of ComfyUI-Inspire-Pack.")
    page.refresh_lists()
    searched(page)
    page.js("(app.graph.add(LiteGraph.createNode(argument)), app.extensionManager.workflow.activeWorkflow.changeTracker.checkState())", LOADER)
    values = "Object.fromEntries(app.graph.nodes.find((one) => one.type === argument).widgets.map((one) => [one.name, one.value]))"
    page.js("app.graph.nodes.find((one) => one.type === argument).widgets.find((one) => one.name === 'strength_model').value = 0.5", LOADER)
    page.js("app.extensionManager.workflow.activeWorkflow.changeTracker.checkState()")
    fresh = page.js(values, LOADER)
    page.page.locator(f"{PANEL} select").first.select_option("1")
    page.page.locator(f"{PANEL} select").nth(1).select_option("inspire")  # a panel remembers the format that was looked at last
    page.button("Use in Inspire").click()
    page.page.get_by_text("Put into").first.wait_for()
    now = page.js(values, LOADER)
    assert (now["lora_name"], now["block_vector"], now["strength_model"]) == ("style.safetensors", page.string(), 1)
    undo(page)
    assert page.js(values, LOADER) == fresh
    assert page.errors == []


def test_previews_are_added_and_connected_and_undo_takes_them_away(page: ComfyPage):
    page.load(short_demo(LAST_SEED))
    page.js("app.extensionManager.workflow.activeWorkflow.changeTracker.checkState()")
    page.button("Add previews").click()
    assert page.js("node.getInputNode(node.findInputSlot('previews')).type") == "ApplSearchPreviews"
    page.button("Add previews").wait_for(state="hidden")
    boxes = page.js("app.graph.nodes.map((one) => [...one.pos, one.pos[0] + one.size[0], one.pos[1] + one.size[1]])")
    left, top, right, bottom = boxes.pop()
    assert not [box for box in boxes if left < box[2] and box[0] < right and top < box[3] and box[1] < bottom]
    undo(page)
    assert page.js("app.graph.nodes.every((one) => one.type !== 'ApplSearchPreviews')")
    page.button("Add previews").wait_for()
    assert page.errors == []


def test_a_block_is_pinned_by_click_and_key_and_the_next_search_leaves_it(page: ComfyPage, comfy: ComfyServer, request: pytest.FixtureRequest):
    searched(page, short_demo(PINS + RENDERERS.index(request.node.callspec.id)))
    rates = page.state(comfy)["loras"][1]["rates"]
    bars = page.page.locator(f"{PANEL} .appl-search-bars")
    bars.focus()
    for key in ("ArrowDown", "ArrowDown", "End", "Enter"):
        page.page.keyboard.press(key)
    pinned = f"style: OUT08 = {rates[19]:.3f}".rstrip("0").rstrip(".")
    wait_for(page, "node.widgets.find((one) => one.name === 'pinned').value === argument", pinned)
    assert "pinned at" in page.page.locator(f"{PANEL} [aria-live=polite]").inner_text()
    box = bars.bounding_box()
    bars.click(position={"x": box["width"] - 8, "y": box["height"] - 60})
    wait_for(page, "node.widgets.find((one) => one.name === 'pinned').value === ''")
    page.button("Search on").wait_for(state="hidden")
    undo(page)
    assert page.widgets()["pinned"] == pinned
    page.page.wait_for_timeout(200)
    page.button("Search on").click()
    page.wait_for_status("Step ")
    page.wait_for_status(f"{SAMPLES} samples in")
    again = page.state(comfy)["loras"][1]
    assert again["rates"][19] == float(pinned.rpartition(" ")[2]) and again["fixed"][19]
    assert again["rates"] != rates
    page.button("Unpin all").click()
    assert page.widgets()["pinned"] == ""
    assert page.errors == []


def test_pins_that_cannot_be_read_are_said_in_words(canvas_page: ComfyPage):
    searched(canvas_page)
    canvas_page.set_widget("pinned", "BANANA = 0")
    canvas_page.js("node.onConnectionsChange()")
    canvas_page.page.get_by_role("alert").filter(has_text="BANANA").wait_for(timeout=PATIENCE * 1000)
    canvas_page.errors.clear()  # the browser tells of every answer that is an error


def test_the_verdict_is_the_first_line_and_offers_the_simple_choice(canvas_page: ComfyPage, comfy: ComfyServer):
    searched(canvas_page)
    state = of_loras(canvas_page.state(comfy), 1)
    canvas_page.heard_of({**state, "verdict": VERDICT, "penalty_chosen": True})
    assert canvas_page.status().startswith(VERDICT["text"])
    found = canvas_page.string()
    canvas_page.button("Use strength 0.62 instead").click()
    assert set(canvas_page.wait_for_string(other_than=found).split(",")) <= {"0", "0.62"}
    canvas_page.unfold()
    assert "chosen by the search" in canvas_page.page.locator(f"{PANEL} details").inner_text()
    assert "8.0% ± 0.4%" in canvas_page.page.locator(f"{PANEL} table").inner_text()
    canvas_page.button("Back to what was found").click()
    assert canvas_page.status().startswith(VERDICT["text"]) and canvas_page.string() == found
    assert canvas_page.errors == []

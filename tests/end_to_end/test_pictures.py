"""Every example workflow runs in ComfyUI's page. UPDATE_PICTURES=1 takes the pictures of the template browser and the help pages."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from appl_search import demo
from tests.end_to_end import camera
from tests.end_to_end.chromium import SEARCH, VUE_NODES, ComfyPage
from tests.end_to_end.comfy_server import PACK, ComfyServer
from tests.end_to_end.demo_graph import of_a_saved_result, short_demo
from tests.end_to_end.examples import NAMES, definitions_for, example, short_example
from tests.end_to_end.looks import overlapping
from tests.end_to_end.workflow import MUTED
from tests.nodes.results import result_for
from tests.pack import load_pack

PATIENCE = 600.0  # seconds for a whole workflow on a slow machine
WIDTH = 1600
PANEL_SEED = 0
#: Where the help page of a node has its picture from: a workflow, and nodes by title or type.
HELP = {
    "ApplSearchLoadLora": ("style_and_character", ["ApplSearchLoadLora"]),
    "ApplSearchSettings": ("many_loras", ["ApplSearchSettings"]),
    "ApplSearchSaveResult": ("style_and_character", ["ApplSearchSaveResult"]),
    "ApplSearchReport": ("style_and_character", ["ApplSearchReport"]),
    "ApplSearchTrainingImages": ("change_pose", ["The reference image", "ApplSearchTrainingImages"]),
    "ApplSearchPreviews": ("first_search", ["ApplSearchPreviews", "ApplSearchRun"]),
    "ApplSearchToString": ("first_search", ["ApplSearchToString"]),
    "ApplSearchRun": ("demo", ["ApplSearchRun"]),
    "ApplSearchTinySDXL": ("which_blocks", ["ApplSearchTinySDXL", "The character in another style"]),
    "ApplSearchEvaluate": ("is_it_better", ["ApplSearchEvaluate"]),
    "ApplSearchChoice": ("is_it_better", ["What was found", "Half strength"]),
    "ApplSearchLook": ("block_explorer", ["ApplSearchLook"]),
    "ApplSearchBlockExplorer": ("block_explorer", ["ApplSearchBlockExplorer", "The grid"]),
    "ApplSearchPlot": ("which_blocks", ["ApplSearchPlot"]),
    "ApplSearchApply": ("bake", ["ApplSearchApply"]),
    "ApplSearchBake": ("bake", ["ApplSearchBake"]),
}


def all_show_something(comfy: ComfyServer, images: list[dict[str, str]]) -> bool:
    """Whether there are pictures, and none of one colour."""
    files = [comfy.base / image["type"] / image["subfolder"] / image["filename"] for image in images]
    return bool(files) and all(np.asarray(Image.open(file).convert("RGB")).std() > 1 for file in files)


@pytest.mark.parametrize("name", NAMES)
def test_example_workflow_runs_in_the_page_and_no_node_covers_another(
    name: str, canvas_page: ComfyPage, comfy: ComfyServer, loras_folder: Path, pictures: Path | None
):
    workflow = short_example(name) if pictures is None else example(name)
    definitions_for(workflow, comfy)
    has_search = any(node["type"] == SEARCH for node in workflow["nodes"])
    (canvas_page.load if has_search else canvas_page.load_without_search)(workflow)
    assert overlapping(canvas_page) == []
    outputs = canvas_page.run_to_end(comfy, PATIENCE)
    assert overlapping(canvas_page) == []
    assert canvas_page.errors == []
    for node in workflow["nodes"]:
        if node["type"] == "PreviewImage" and node["mode"] != MUTED:
            assert all_show_something(comfy, outputs[str(node["id"])]["images"]), node.get("title")
    if pictures is None:
        return
    with camera.clear_view(canvas_page):
        path = pictures / "example_workflows" / f"{name}.jpg"
        camera.take_picture(canvas_page, path, WIDTH)
        camera.check(path)
        for node, (source, titles) in HELP.items():
            if source == name:
                camera.help_picture(canvas_page, pictures, node, titles)


def test_a_saved_result_is_loaded_in_the_page(canvas_page: ComfyPage, comfy: ComfyServer, pictures: Path | None):
    results = comfy.output_folder / "block_weights"
    results.mkdir(parents=True, exist_ok=True)
    found = result_for((demo.lora_paths()["style"], {"IN01": 0.0, "IN02": 1.2, "IN03": 0.9, "OUT07": 0.7}))
    (results / "my favourite.json").write_text(found.to_json(), encoding="utf-8")
    canvas_page.refresh_lists()
    canvas_page.load_without_search(of_a_saved_result("my favourite.json"))
    canvas_page.run_to_end(comfy, PATIENCE)
    assert canvas_page.errors == []
    assert "OUT07" in canvas_page.page.locator(".appl-search-text ul").inner_text()
    if pictures is None:
        return
    with camera.clear_view(canvas_page):
        camera.help_picture(canvas_page, pictures, "ApplSearchLoadResult", ["ApplSearchLoadResult"])
        camera.help_picture(canvas_page, pictures, "ApplSearchToLBW", ["ApplSearchToLBW"])


def test_the_panel_as_the_readme_shows_it(canvas_page: ComfyPage, comfy: ComfyServer, pictures: Path | None, tmp_path: Path):
    """In both renderers, one of them dark and the other light."""
    if pictures is None:
        pytest.skip("UPDATE_PICTURES=1 takes the picture.")
    if not canvas_page.has_nodes2():
        pytest.skip("This ComfyUI offers no Nodes 2.0.")
    shown = []
    canvas_page.load(short_demo(PANEL_SEED, 320, comparison=64, few=False))
    canvas_page.run_to_end(comfy, PATIENCE)
    for renderer, palette in (("canvas", "dark"), ("nodes2", "light")):
        canvas_page.set(VUE_NODES, renderer == "nodes2")
        canvas_page.set("Comfy.ColorPalette", palette)
        canvas_page.settle()
        with camera.clear_view(canvas_page):
            camera.show_nothing_but(canvas_page, ["ApplSearchRun"])
            camera.take_picture(canvas_page, tmp_path / f"{renderer}.jpg", quality=95)
            shown.append(Image.open(tmp_path / f"{renderer}.jpg"))
    both = Image.new("RGB", (sum(image.width for image in shown), max(image.height for image in shown)))
    left = 0
    for image in shown:
        both.paste(image.getpixel((0, 0)), (left, 0, left + image.width, both.height))
        both.paste(image, (left, 0))
        left += image.width
    path = pictures / "web" / "docs" / "images" / "panel.jpg"
    both.save(path, quality=85)
    camera.check(path)


def test_every_node_and_every_example_has_its_picture(browser):
    """Those of the repository, which UPDATE_PICTURES=1 makes. Without a browser there is nothing to make them with.

    Help pages show them, and ComfyUI's template browser shows NAME.jpg for NAME.json.
    """
    nodes = set(load_pack().NODE_CLASS_MAPPINGS)
    missing = {name for name in nodes if f"](images/{name}.jpg)" not in (PACK / "web" / "docs" / f"{name}.md").read_text(encoding="utf-8")}
    assert missing == set()
    files = [*(PACK / "web" / "docs" / "images" / f"{name}.jpg" for name in nodes), *(PACK / "example_workflows" / f"{name}.jpg" for name in NAMES)]
    assert [str(file) for file in files if not file.is_file()] == []

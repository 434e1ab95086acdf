"""Every example workflow runs in ComfyUI's page, and is shown there as it is in the template browser and the help pages.

UPDATE_PICTURES=1 puts the pictures into the repository.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from PIL import Image

from appl_search import demo
from tests.end_to_end import camera
from tests.end_to_end.chromium import ComfyPage
from tests.end_to_end.comfy_server import ComfyServer
from tests.end_to_end.demo_graph import of_a_saved_result, short_demo
from tests.end_to_end.examples import NAMES, definitions_for, example
from tests.nodes.results import result_for

PATIENCE = 600.0  # seconds for a whole workflow on a slow machine
WIDTH = 1600
PANEL_SEED = 0
OpenPage = Callable[[str], AbstractContextManager[ComfyPage]]
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
    "ApplSearchPlot": ("which_blocks", ["ApplSearchPlot"]),
    "ApplSearchApply": ("bake", ["ApplSearchApply"]),
    "ApplSearchBake": ("bake", ["ApplSearchBake"]),
}


@pytest.mark.parametrize("name", NAMES)
def test_example_workflow_runs_in_the_page_and_no_node_covers_another(
    name: str, canvas_page: ComfyPage, comfy: ComfyServer, loras_folder: Path, pictures: Path
):
    workflow = example(name)
    definitions_for(workflow, comfy)
    canvas_page.load(workflow)
    assert canvas_page.overlapping() == []
    canvas_page.run_to_end(comfy, PATIENCE)
    assert canvas_page.overlapping() == []
    assert canvas_page.errors == []
    camera.clear_the_view(canvas_page)
    path = pictures / "example_workflows" / f"{name}.jpg"
    camera.take_picture(canvas_page, path, WIDTH)
    camera.check(path)
    for node, (source, titles) in HELP.items():
        if source == name:
            camera.help_picture(canvas_page, pictures, node, titles)


def test_a_saved_result_is_loaded_in_the_page(canvas_page: ComfyPage, comfy: ComfyServer, pictures: Path):
    results = comfy.output_folder / "block_weights"
    results.mkdir(parents=True, exist_ok=True)
    found = result_for((demo.lora_paths()["style"], {"IN01": 0.0, "IN02": 1.2, "IN03": 0.9, "OUT07": 0.7}))
    (results / "my favourite.json").write_text(found.to_json(), encoding="utf-8")
    canvas_page.reload()  # the list of files
    canvas_page.load_without_search(of_a_saved_result("my favourite.json"))
    canvas_page.run_to_end(comfy, PATIENCE)
    assert canvas_page.errors == []
    assert "OUT07" in canvas_page.page.locator(".appl-search-text ul").inner_text()
    camera.clear_the_view(canvas_page)
    camera.help_picture(canvas_page, pictures, "ApplSearchLoadResult", ["ApplSearchLoadResult"])
    camera.help_picture(canvas_page, pictures, "ApplSearchToLBW", ["ApplSearchToLBW"])


def test_the_panel_as_the_readme_shows_it(open_page: OpenPage, comfy: ComfyServer, pictures: Path, tmp_path: Path):
    """In both renderers, one of them dark and the other light."""
    shown = []
    for renderer, palette in (("canvas", "dark"), ("nodes2", "light")):
        with open_page(renderer) as page:
            page.set("Comfy.ColorPalette", palette)
            page.load(short_demo(PANEL_SEED, 320))
            page.run_to_end(comfy, PATIENCE)
            camera.clear_the_view(page)
            camera.show_nothing_but(page, ["ApplSearchRun"])
            camera.take_picture(page, tmp_path / f"{renderer}.jpg", quality=95)
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

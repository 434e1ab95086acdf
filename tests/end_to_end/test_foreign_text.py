"""Names and texts that other people wrote are never HTML, and no name leads out of ComfyUI's folders."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file, save_file

from appl_search import demo
from tests.end_to_end.building import the_search
from tests.end_to_end.chromium import PANEL, PATIENCE, ComfyPage
from tests.end_to_end.comfy_client import ComfyClient, PromptRejected
from tests.end_to_end.comfy_server import ComfyServer
from tests.end_to_end.demo_graph import SAMPLES, of_a_saved_result, short_demo, with_previews, with_report
from tests.end_to_end.looks import BARS
from tests.nodes.results import result_for

SEED = 300  # of no other test
EVIL = """'"><img src=x onerror=window.harmed=1>&amp;<b>b"""
METADATA = ("ss_output_name", "ss_tag_frequency", "modelspec.title", "ss_training_comment")
#: Names for files, which must stay where the node writes.
ESCAPES = ("../escaped", "a/../../escaped", "{base}/escaped", "..\\escaped", "a/./..//../escaped")


@pytest.fixture
def evil_lora(comfy: ComfyServer, loras_folder: Path) -> str:
    """A LoRA whose name and metadata are HTML, by the name that the loader has for it."""
    path = loras_folder / f"{EVIL}.safetensors"
    try:
        save_file(load_file(demo.lora_paths()["style"]), path, dict.fromkeys(METADATA, EVIL))
    except Exception:  # safetensors' own, for a name that Windows does not take
        pytest.skip("This file system takes no such names.")
    return path.name


def assert_unharmed(page: ComfyPage, requests: list[str]) -> None:
    assert page.js("window.harmed") is None
    assert page.page.locator("img[src=x]").count() == 0
    assert [url for url in requests if url.endswith("/x")] == []
    assert page.errors == []


def test_names_metadata_and_captions_are_in_the_page_as_they_are(canvas_page: ComfyPage, comfy: ComfyServer, evil_lora: str):
    requests: list[str] = []
    canvas_page.page.on("request", lambda request: requests.append(request.url))
    canvas_page.refresh_lists()
    workflow = with_report(with_previews(short_demo(SEED)))
    for node in workflow["nodes"]:
        if node["type"] == "ApplSearchLoadLora":
            node["widgets_values"][0] = evil_lora
        if node["type"] == "ApplSearchPreviews":
            node["widgets_values"][:3] = [EVIL, EVIL, SAMPLES]
    canvas_page.load(workflow)
    canvas_page.queue()
    canvas_page.wait_for_status(f"{SAMPLES} samples in")
    assert canvas_page.wait_for_string()
    chart = canvas_page.page.locator(f"{PANEL} [role=application]")
    chart.focus()
    canvas_page.page.keyboard.press("End")
    assert EVIL in canvas_page.page.locator(f"{PANEL} [aria-live=polite]").inner_text()
    assert EVIL in (canvas_page.page.locator(f"{BARS} canvas").get_attribute("aria-label") or "")
    assert canvas_page.page.locator(f"{PANEL} select").first.locator("option").all_inner_texts() == [EVIL, EVIL]
    canvas_page.look_at("ApplSearchReport")
    with canvas_page.page.expect_popup() as popup:
        canvas_page.page.get_by_role("link", name="Open the report").click(timeout=PATIENCE * 1000)
    report = popup.value
    report.wait_for_load_state()
    assert EVIL in report.locator("h1").inner_text()
    assert report.evaluate("window.harmed") is None
    assert report.locator("img[src=x], script, b").count() == 0
    report.close()
    canvas_page.page.bring_to_front()
    assert_unharmed(canvas_page, requests)

    # A file that somebody else gave, whose name is HTML too, in a workflow that names it.
    file = f"{EVIL}.json"
    (comfy.output_folder / "block_weights" / file).write_text(result_for((demo.lora_paths()["style"], {})).to_json(), encoding="utf-8")
    canvas_page.refresh_lists()
    loaded = of_a_saved_result(file)
    canvas_page.load_without_search(loaded)
    canvas_page.run_to_end(comfy, PATIENCE)
    assert "OUT07" in canvas_page.page.locator(".appl-search-text ul").inner_text()
    again = short_demo(SEED + 1)
    the_search(again)["properties"]["appl_search_result"] = file
    canvas_page.load(again)
    canvas_page.wait_for_status("16 samples in")
    assert_unharmed(canvas_page, requests)


def everything_but(comfy: ComfyServer, *folders: str) -> set[Path]:
    return {path for path in comfy.base.rglob("*escaped*") if not any(path.is_relative_to(comfy.base / folder) for folder in folders)}


@pytest.mark.parametrize(
    ("node", "inputs"),
    [
        ("ApplSearchSaveResult", {}),
        ("ApplSearchReport", {}),
        ("ApplSearchBake", {"files": "one for each LoRA", "rank": 0, "folder": "output"}),
    ],
)
def test_no_name_writes_outside_the_folder_of_a_node(comfy: ComfyServer, client: ComfyClient, loras_folder: Path, node: str, inputs: dict[str, Any]):
    results = comfy.output_folder / "block_weights"
    results.mkdir(parents=True, exist_ok=True)
    (results / "for names.json").write_text(result_for((demo.lora_paths()["style"], {})).to_json(), encoding="utf-8")
    known = comfy.get_json(f"/object_info/{node}")[node]["input"]["required"]
    chosen = {name: known[name][0][0] if isinstance(known[name][0], list) else value for name, value in inputs.items()}
    for name in ESCAPES:
        prompt = {
            "1": {"class_type": "ApplSearchLoadResult", "inputs": {"file": "for names.json"}},
            "2": {"class_type": node, "inputs": {"block_weights": ["1", 0], "name": name.format(base=comfy.base), **chosen}},
        }
        run = client.queue(prompt).wait(PATIENCE)
        if run.failure is not None:
            assert run.failure.type == "execution_error" and "escaped" in run.failure.data["exception_message"]
        assert everything_but(comfy, "output") == set(), name
    outside = {path for path in comfy.output_folder.glob("*escaped*") if path.suffix in (".json", ".html")}
    assert outside == set()


@pytest.mark.parametrize("file", ["../for names.json", "{base}/secret.json", "away.json"])
def test_no_result_is_read_from_elsewhere(comfy: ComfyServer, client: ComfyClient, file: str):
    secret = comfy.base / "secret.json"
    secret.write_text(result_for((demo.lora_paths()["style"], {})).to_json(), encoding="utf-8")
    results = comfy.output_folder / "block_weights"
    results.mkdir(parents=True, exist_ok=True)
    if not (results / "away.json").is_symlink():
        (results / "away.json").symlink_to(secret)
    prompt = {
        "1": {"class_type": "ApplSearchLoadResult", "inputs": {"file": file.format(base=comfy.base)}},
        "2": {"class_type": "ApplSearchToString", "inputs": {"block_weights": ["1", 0], "lora": 1, "format": "inspire", "digits": 3}},
    }
    try:
        failure = client.queue(prompt).wait(PATIENCE).failure
    except PromptRejected as refused:
        assert "not in list" in str(refused)
    else:
        assert failure is not None and "is no .json file in" in failure.data["exception_message"]

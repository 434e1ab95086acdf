"""Plots and reports in a real ComfyUI: the page can show them, and no other file by their address."""

from __future__ import annotations

import urllib.error
import urllib.request
from urllib.parse import urlencode

import pytest

from tests import oracle
from tests.end_to_end.comfy_client import ComfyClient, Run
from tests.end_to_end.comfy_server import ComfyServer
from tests.nodes.results import result_for

PATIENCE = 120.0  # seconds
_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@pytest.fixture(scope="module")
def run(comfy: ComfyServer) -> Run:
    """A saved result, loaded, plotted and reported."""
    folder = comfy.output_folder / "block_weights"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "figures.json").write_text(result_for((oracle.LORA_A, {"IN04": 0.5})).to_json(), encoding="utf-8")
    (folder / "private.html").write_text("private", encoding="utf-8")
    prompt = {
        "1": {"class_type": "ApplSearchLoadResult", "inputs": {"file": "figures.json"}},
        "2": {"class_type": "ApplSearchPlot", "inputs": {"block_weights": ["1", 0], "figure": "all", "theme": "dark", "width": 640, "height": 480}},
        "3": {"class_type": "ApplSearchReport", "inputs": {"block_weights": ["1", 0], "name": "sub/mine", "before": ["2", 0]}},
    }  # fmt: skip
    with ComfyClient(comfy) as client:
        return client.queue(prompt).succeed(PATIENCE)


def get(comfy: ComfyServer, path: str, **query: str):
    return _opener.open(f"http://{comfy.address}{path}?{urlencode(query)}", timeout=30)


def test_the_page_gets_the_plot_that_the_node_shows(comfy, run):
    (shown,) = run.outputs["2"]["images"]
    with get(comfy, "/view", **shown) as answer:
        assert answer.headers.get_content_type() == "image/png" and answer.read().startswith(b"\x89PNG")


def test_the_report_opens_as_a_page_that_runs_no_script(comfy, run):
    (file,) = run.outputs["3"]["appl_search_report"]
    with get(comfy, "/appl_search/report", file=file) as answer:
        assert answer.headers.get_content_type() == "text/html"
        assert "attachment" not in answer.headers.get("Content-Disposition", "")
        text = answer.read().decode()
    # ComfyUI started with --disable-api-nodes replaces the header, so the report must carry the policy itself.
    assert """<meta http-equiv="Content-Security-Policy" content="default-src 'none';""" in text and "<script" not in text
    assert "Block weights of lora_a" in text and "data:image/jpeg" in text


@pytest.mark.parametrize("file", ["../private.html", "sub/../../private.html", "/etc/passwd", "../figures.json", ""])
def test_no_other_file_can_be_read_by_the_reports_address(comfy, run, file):
    with pytest.raises(urllib.error.HTTPError) as refused:
        get(comfy, "/appl_search/report", file=file)
    assert refused.value.code == 400

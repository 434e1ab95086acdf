"""The pack's files for the page: which ones ComfyUI loads as extensions, and how the others are served."""

from __future__ import annotations

import http.client

import pytest

from tests.end_to_end.comfy_server import PACK, ComfyServer

WEB = PACK / "web"
MODULES = sorted(path.relative_to(WEB).as_posix() for folder in ("panel", "lib") for path in (WEB / folder).glob("*.mjs"))


def get(comfy: ComfyServer, path: str) -> tuple[int, str, str, bytes]:
    """Status, type, cache control and body of a path that is sent as it is: no client makes it shorter."""
    connection = http.client.HTTPConnection(comfy.address, timeout=30)
    connection.request("GET", path)
    answer = connection.getresponse()
    found = answer.status, answer.headers.get_content_type(), answer.headers.get("Cache-Control", ""), answer.read()
    connection.close()
    return found


def test_only_the_two_entries_are_extensions(comfy: ComfyServer):
    own = [path for path in comfy.get_json("/extensions") if path.startswith("/extensions/appl-search/")]
    assert sorted(own) == [f"/extensions/appl-search/js/{name}.js" for name in ("node_texts", "search_panel")]


@pytest.mark.parametrize("prefix", ["", "/api"])
def test_modules_and_words_are_served_as_such_and_asked_for_anew(comfy: ComfyServer, prefix: str):
    assert len(MODULES) > 10
    for name, expected in [*((name, "text/javascript") for name in MODULES), ("words/ja.json", "application/json")]:
        status, kind, caching, body = get(comfy, f"{prefix}/appl_search/web/{name}")
        assert (status, kind, caching) == (200, expected, "no-cache"), name
        assert body == (WEB / name).read_bytes()


@pytest.mark.parametrize(
    "path",
    ["panel/../../README.md", "panel/..%2f..%2frun.py", "lib/%2e%2e/package.json", "docs/ApplSearchRun.md", "words/../package.json", "panel/none.mjs", "lib/"],
)
def test_no_other_file_is_served_there(comfy: ComfyServer, path: str):
    assert get(comfy, f"/appl_search/web/{path}")[0] == 404

"""The pack's addresses on a real server: there under both prefixes, and closed to pages of other sites."""

from __future__ import annotations

import json
import urllib.error
import urllib.request

import pytest

_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@pytest.fixture
def ask(comfy):
    def asked(path: str, body: bytes | None = None, **headers: str) -> tuple[int, dict]:
        request = urllib.request.Request(f"http://{comfy.address}{path}", body, headers)
        try:
            with _opener.open(request, timeout=30) as response:
                return response.status, json.load(response)
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read() or b"{}")

    return asked


@pytest.mark.parametrize("prefix", ["", "/api"])
def test_addresses_answer_in_words_under_both_prefixes(ask, prefix):
    assert ask(f"{prefix}/appl_search/running") == (200, [])
    assert ask(f"{prefix}/appl_search/finish", b'{"node_id": "1"}') == (200, {"finishing": False})
    for path, body, status in (
        ("state?file=../x.json", None, 400), ("strings", b"[" * 100_000, 400), ("running", b"{}", 405), ("web/panel/no_such.mjs", None, 404)
    ):  # fmt: skip
        found = ask(f"{prefix}/appl_search/{path}", body)
        assert found[0] == status and found[1]["error"], path


def test_pages_of_other_sites_get_nothing(ask, comfy):
    assert ask("/appl_search/running", Origin=f"http://{comfy.address}")[0] == 200
    for origin in ("null", "http://evil.example", "file://"):
        assert ask("/appl_search/running", Origin=origin)[0] == 403

"""The pack's addresses on ComfyUI's server: whatever is asked, the answer is right or an error in words, never a fault."""

from __future__ import annotations

import asyncio
import json
import random
import sys
from types import SimpleNamespace

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from tests import pack
from tests.nodes.results import result_for

PACK = pack.load_pack()
routes = sys.modules[f"{pack.NAME}.nodes.panel.routes"]
files = sys.modules[f"{pack.NAME}.nodes.support.files"]
panel_state = sys.modules[f"{pack.NAME}.nodes.panel.state"]

GETS = ("/appl_search/running", "/appl_search/state", "/appl_search/report", "/appl_search/web/panel/panel.mjs")
POSTS = ("/appl_search/finish", "/appl_search/strings", "/appl_search/bake", "/appl_search/pins")


@pytest.fixture
def result(folders):
    return result_for((folders / "loras" / "a.safetensors", {"IN04": 0.5}))


@pytest.fixture
def ask(folders, monkeypatch):
    """ask(method, path, ...) -> (status, type, text), from a server that has the pack's addresses as ComfyUI's has."""
    table = web.RouteTableDef()
    server = SimpleNamespace(routes=table)
    monkeypatch.setitem(sys.modules, "server", SimpleNamespace(PromptServer=SimpleNamespace(instance=server)))
    routes.register()
    loop = asyncio.new_event_loop()
    app = web.Application(client_max_size=200_000_000)
    app.add_routes(table)
    client = TestClient(TestServer(app), loop=loop)
    loop.run_until_complete(client.start_server())

    async def asked(method: str, path: str, **options) -> tuple[int, str, str]:
        async with client.request(method, path, **options) as response:
            return response.status, response.content_type, (await response.read()).decode("utf-8", "replace")

    yield lambda *arguments, **options: loop.run_until_complete(asked(*arguments, **options))
    loop.run_until_complete(client.close())
    loop.close()


def refused(answer: tuple[int, str, str], *statuses: int) -> str:
    """The error of an answer, which must be one."""
    status, kind, text = answer
    assert status in (statuses or (400,)) and kind == "application/json", (status, text[:300])
    error = json.loads(text)["error"]
    assert 10 < len(error) <= 1000
    return error


def lora_of(result) -> dict:
    (weights,) = result.block_weights
    return {**panel_state.lora(weights.layout, result.rules[0]), "rates": list(weights.values), "errors": [None] * 20}


def test_a_saved_result_its_report_and_its_strings_are_answered(ask, node, result):
    file = files.save_result(result).name
    status, _, text = ask("GET", "/appl_search/state", params={"file": file})
    assert status == 200 and json.loads(text) == json.loads(json.dumps(panel_state.of_result(files.load_result(file), file)))
    assert ask("GET", "/appl_search/running")[::2] == (200, "[]")
    assert json.loads(ask("POST", "/appl_search/finish", json={"node_id": "1"})[2]) == {"finishing": False}
    status, _, text = ask("POST", "/appl_search/strings", json={"loras": [lora_of(result)]})
    assert status == 200 and json.loads(text)[0]["plain"]["text"] == result.block_weights[0].to_string("plain")
    (report,) = node("ApplSearchReport").save(result, "")["ui"]["appl_search_report"]
    assert ask("GET", "/appl_search/report", params={"file": report})[:2] == (200, "text/html")
    assert ask("GET", "/appl_search/web/panel/panel.mjs")[:2] == (200, "text/javascript")
    assert ask("HEAD", "/appl_search/running")[0] == 200


def test_these_are_all_of_the_packs_addresses(monkeypatch):
    table = web.RouteTableDef()
    monkeypatch.setitem(sys.modules, "server", SimpleNamespace(PromptServer=SimpleNamespace(instance=SimpleNamespace(routes=table))))
    routes.register()
    known = {path.partition("/web/")[0] for path in GETS + POSTS}
    assert {route.path.partition("/web/")[0] for route in table} == known and len(table) == len(GETS + POSTS)


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "PROPFIND"])
@pytest.mark.parametrize("path", GETS + POSTS)
def test_other_methods_are_refused(ask, method, path):
    if method != ("GET" if path in GETS else "POST"):
        assert "is not possible here" in refused(ask(method, path), 405)


BODIES = (
    b"", b"{", b"[]", b"null", b"1", b'"x"', b"{}", b'{"node_id": null}', b'{"node_id": ["a"]}', b'{"node_id": NaN}',
    b"\xff\xfe\x00", b"\xef\xbb\xbf{}", b"[" * 100_000, b'{"a":' * 100_000, b'{"node_id": ' + b"9" * 5000 + b"}", b"x" * 1_000_001,
    b'{"loras": {}}', b'{"loras": []}', b'{"loras": [1]}', b'{"loras": [{}]}', b'{"loras": [null]}', b'{"loras": "abc"}',
    b"node_id=1", b"\x00",
)  # fmt: skip


@pytest.mark.parametrize("path", POSTS)
def test_no_body_charset_or_size_is_a_fault(ask, path):
    for body in BODIES:
        refused(ask("POST", path, data=body))
    for kind in ("application/json; charset=no-such", "text/plain; charset=utf-16", "multipart/form-data; boundary=x", "application/x-www-form-urlencoded", "\u00e9"):
        refused(ask("POST", path, data=b"{}", headers={"Content-Type": kind}))
    right = {"finish": b'{"node_id": "1"}', "strings": b'{"loras": [{}]}', "bake": b'{"file": "a.json"}', "pins": b'{"text": "", "loras": [{}]}'}[path.rpartition("/")[2]]
    assert ask("POST", path, data=right, headers={"Content-Type": "text/plain; charset=utf-16"})[0] in (200, 400)

    async def endless():
        for _ in range(100):
            yield b"[" * 65536

    assert "too long" in refused(ask("POST", path, data=endless()))


WRONG = (None, True, -1, 1e9, 10**9, 10**400, 1.5, "x", "x" * 2000, [], {}, [[1]], ["x"] * 20, [1e999], "NaN", {"input_blocks.99": 1}, {"x": 1})


def test_every_wrong_field_of_rates_is_refused(ask, result):
    right = lora_of(result)
    for field in ("name", "sha256", "groups", "rates", "errors", "architecture"):
        for value in (*WRONG, {"input_blocks.4": 10**9}, {"input_blocks.4": -1}, {"input_blocks.4": True}, [float("inf")] * 20, [1] * 19):
            if field == "errors" and value == []:
                continue  # no errors at all
            if field in ("name", "sha256") and value in ("x", "NaN") or field == "architecture" and value is None or field == "groups" and value == {}:
                continue
            body = json.dumps({"loras": [{**right, field: value}]})
            assert refused(ask("POST", "/appl_search/strings", data=body)), (field, value)
    assert "whole number from 0 to 10000" in refused(
        ask("POST", "/appl_search/strings", json={"loras": [{**right, "groups": {"input_blocks.4": 10**9}}]})
    )


OUTSIDE = (
    "", ".", "..", "../a{}", "../../etc/passwd", "/etc/passwd", "/a{}", "a.txt", "..\\a{}", "C:\\a{}", "\\\\server\\share\\a{}",
    "a{}\0", "\0", "a/../../../a{}", "nul", "a{}/", "x" * 5000 + "{}", "\ud800{}", "loop{}", "away{}", "folder{}", "gone{}", "%2e%2e/a{}",
)  # fmt: skip


@pytest.mark.parametrize("path, folder, suffix", [("state", "result_folder", ".json"), ("report", "report_folder", ".html")])
def test_no_name_leads_out_of_the_folders(ask, folders, path, folder, suffix):
    folder = getattr(files, folder)()
    folder.mkdir(parents=True)
    secret = folders / f"a{suffix}"
    secret.write_text("secret")
    (folder.parent / f"a{suffix}").write_text("secret")
    (folder / f"loop{suffix}").symlink_to(folder / f"loop{suffix}")
    (folder / f"away{suffix}").symlink_to(secret)
    (folder / f"folder{suffix}").mkdir()
    for name in OUTSIDE:
        name = name.format(suffix).encode("utf-8", "replace").decode()
        assert "secret" not in refused(ask("GET", f"/appl_search/{path}", params={"file": name}), 400, 404), name
    refused(ask("GET", f"/appl_search/{path}"), 400, 404)


def test_the_pages_own_files_are_in_three_folders(ask):
    for name in ("panel/no_such.mjs", "lib/no_such.json"):
        refused(ask("GET", f"/appl_search/web/{name}"), 404)
    for name in ("../nodes/search.py", "panel/../../pyproject.toml", "js/search_panel.js", "panel/..%2f..%2fpyproject.json"):
        assert ask("GET", f"/appl_search/web/{name}")[0] == 404


@pytest.mark.parametrize(
    "host, origin, status",
    [
        ("127.0.0.1:8188", "http://127.0.0.1:8188", 200),
        ("localhost:8188", "http://localhost:8188", 200),
        ("localhost", "http://localhost:8188", 200),
        ("[::1]:8188", "http://[::1]:8188", 200),
        ("127.0.0.1:8188", None, 200),
        ("my.server", "https://my.server", 200),
        ("inner:8188", "https://proxy.example", 200),
        ("127.0.0.1:8188", "null", 403),
        ("my.server", "null", 403),
        ("127.0.0.1:8188", "", 403),
        ("127.0.0.1:8188", "file://", 403),
        ("127.0.0.1:8188", "http://evil.example", 403),
        ("127.0.0.1:8188", "http://127.0.0.1:9999", 403),
        ("127.0.0.1:8188", "http://[", 403),
        ("127.0.0.1:8188", "http://127.0.0.1:port", 403),
        ("127.0.0.1:8188", "http://127.0.0.1.evil.example:8188", 403),
    ],
)
def test_pages_of_other_sites_are_refused(ask, monkeypatch, host, origin, status):
    headers = {"Host": host} | ({"Origin": origin} if origin is not None else {})
    answer = ask("GET", "/appl_search/running", headers=headers)
    assert answer[0] == status
    if status == 403:
        refused(answer, 403)
        options = SimpleNamespace(args=SimpleNamespace(enable_cors_header="*"))
        monkeypatch.setitem(sys.modules, "comfy.cli_args", options)
        assert ask("GET", "/appl_search/running", headers=headers)[0] == 200, "the user lets others in"


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_result_with_odd_numbers_is_shown_in_strict_json_or_refused(ask, result):
    """Right in every field and still no search's: the panel computes with what is in it."""
    data = json.loads(result.to_json())
    model = {"center": [0.0], "loss": 0.1, "gradient": [0.0], "hessian": [[1.0]], "noise": [[0.0]], "counts": [1], "negative_penalty": 10.0, "lower": None, "upper": None}
    random.seed(0)
    odd = (0, -1, 1e-300, 1e300, -1e300, 1, 5e-324)
    for _ in range(60):
        changed = {**model, **{name: random.choice(odd) for name in random.sample(["loss", "negative_penalty", "lower", "upper"], 2)}}
        for name in random.sample(["center", "gradient", "counts"], 2):
            changed[name] = [random.choice(odd)]
        changed["hessian"], changed["noise"] = [[random.choice(odd)]], [[random.choice(odd)]]
        data["penalty_path"] = {"model": changed, "parameter_of": [0] * 20, "constant": [random.choice(odd)] * 20}
        files.result_folder().mkdir(exist_ok=True)
        (files.result_folder() / "odd.json").write_text(json.dumps(data))
        status, _, text = ask("GET", "/appl_search/state", params={"file": "odd.json"})
        assert status in (200, 400), text
        json.loads(text, parse_constant=lambda word: pytest.fail(f"{word} reaches the page"))

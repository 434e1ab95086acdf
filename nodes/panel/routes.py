"""What the panel on the page asks ComfyUI's server for."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ...appl_search.weights.fields import Fields, read_json
from ..support.common import log
from ..support.files import inside, load_result, report_folder, result_folder
from . import handing_out, running_search
from . import pins as panel_pins
from . import state as panel_state
from .preview_sheet import saved_sheet

WEB = Path(__file__).parents[2] / "web"
_TYPES = {".mjs": "text/javascript", ".json": "application/json"}
#: Of a request's body: what the page sends is some kilobytes.
_MOST_BYTES = 1_000_000

# aiohttp comes with ComfyUI; this module can be imported without it. Request and response are its web.Request and
# web.StreamResponse.
Handler = Callable[[Any], Awaitable[Any]]


def register() -> None:
    """Adds the pack's addresses to ComfyUI's server, if there is one."""
    server = running_search.server()
    if server is None:
        return
    for method, path, handler in (
        ("POST", "/appl_search/finish", finish),
        ("GET", "/appl_search/running", running),
        ("GET", "/appl_search/state", state),
        ("GET", "/appl_search/report", report),
        ("GET", r"/appl_search/web/{file:(panel|lib|words)/\w+\.(mjs|json)}", web_file),
        ("POST", "/appl_search/strings", strings),
        ("POST", "/appl_search/bake", bake),
        ("POST", "/appl_search/pins", pins),
    ):
        server.routes.route("*", path)(_guarded(method, handler))


async def finish(request: Any) -> Any:
    """{"node_id"}: the search of this node finishes with what it has."""
    return _json({"finishing": running_search.finish((await _body(request)).text("node_id"))})


async def running(_: Any) -> Any:
    """The searches that run now, for a page that was loaded again."""
    return _json(running_search.snapshots())


async def state(request: Any) -> Any:
    """?file=...: what the panel shows of a saved result."""
    path = inside(result_folder(), request.query.get("file", ""), ".json")
    file = path.relative_to(result_folder().resolve()).as_posix()
    return _json(panel_state.of_result(load_result(file), file, saved_sheet(file)))


async def report(request: Any) -> Any:
    """A report as a page; ComfyUI's own /view would download it. ?file=...: one that was saved; ?result=...&penalty=...: of a
    saved result.

    The policy is also in the report itself: some settings of ComfyUI put another one in place of this header.
    """
    from aiohttp import web

    policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox"
    headers = {"Content-Security-Policy": policy, "X-Content-Type-Options": "nosniff"}
    if "result" not in request.query:
        return _file(inside(report_folder(), request.query.get("file", ""), ".html"), headers)
    text = await asyncio.to_thread(handing_out.report, request.query["result"], request.query.get("penalty"))
    return web.Response(text=text, headers={**headers, "Cache-Control": "no-store"}, content_type="text/html", charset="utf-8")


async def web_file(request: Any) -> Any:
    """What the files of web/js import and read.

    Below WEB_DIRECTORY, ComfyUI takes every .js for an extension and loads it, and it lets browsers keep old copies of
    all but .js and .css: after an update they would mix old modules with new ones. The types are named here, because
    browsers run no module of another type, and what Windows says of .mjs is up to its registry.
    """
    path = WEB / request.match_info["file"]
    return _file(path, {"Cache-Control": "no-cache", "Content-Type": _TYPES[path.suffix]})


async def strings(request: Any) -> Any:
    """{"loras": [{"name", "sha256", "groups", "rates", "errors"}]}: the rates in every format."""
    return _json(panel_state.strings_of((await _body(request)).objects("loras")))


async def bake(request: Any) -> Any:
    """See :func:`nodes.panel.handing_out.bake`."""
    return _json(await asyncio.to_thread(handing_out.bake, await _body(request)))


async def pins(request: Any) -> Any:
    """See :func:`nodes.panel.pins.pins`."""
    return _json(panel_pins.pins(await _body(request)))


def _guarded(method: str, handler: Handler) -> Handler:
    """A handler for any request: with another method, of a foreign page, or that asks for what there is not, it gets an error."""

    async def answer(request: Any) -> Any:
        if request.method != method and (request.method, method) != ("HEAD", "GET"):
            return _json({"error": f"{request.method[:20]} is not possible here. Expected {method}."}, 405, {"Allow": method})
        if _is_foreign(request):
            return _json({"error": "A page of another site may not ask here."}, 403)
        try:
            return await handler(request)
        except (ValueError, OSError, ArithmeticError, ImportError) as error:
            return _json({"error": str(error)[:1000]}, 400)
        except RuntimeError as error:  # of torch, on numbers that no search has written
            log.warning("%s: %s", request.path, error)
            return _json({"error": f"The numbers cannot be used ({str(error)[:200]})."}, 400)

    return answer


def _is_foreign(request: Any) -> bool:
    """Whether a browser asks for another site's page, where the server is on this machine: as ComfyUI decides it for its own
    addresses, unless --enable-cors-header lets others in. Pages without an origin ("null") are foreign too.
    """
    origin = request.headers.get("Origin")
    options = getattr(sys.modules.get("comfy.cli_args"), "args", None)
    if origin is None or getattr(options, "enable_cors_header", None):
        return False
    asked, page = _host_and_port(f"//{request.headers.get('Host', '')}"), _host_and_port(origin)
    if page[0] is None:
        return True
    same = page == asked or page[0] == asked[0] and None in (page[1], asked[1])
    return _is_this_machine(asked[0]) and not same


def _host_and_port(address: str) -> tuple[str | None, int | None]:
    try:
        parts = urlsplit(address)
        return parts.hostname, parts.port
    except ValueError:  # no port, a broken IPv6 address
        return None, None


def _is_this_machine(host: str | None) -> bool:
    try:
        return host is None or ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


async def _body(request: Any) -> Fields:
    """The JSON of a request, which is UTF-8 whatever its headers say. ValueError for anything else."""
    body = bytearray()
    async for chunk in request.content.iter_chunked(1 << 16):
        body += chunk
        if len(body) > _MOST_BYTES:
            raise ValueError(f"The request is too long. Expected at most {_MOST_BYTES} bytes.")
    return Fields(read_json(body.decode("utf-8")), "")


def _json(data: Any, status: int = 200, headers: dict[str, str] | None = None) -> Any:
    """An answer in strict JSON: a page cannot read NaN."""
    from aiohttp import web

    text = json.dumps(data, allow_nan=False)
    return web.Response(text=text, status=status, headers=headers, content_type="application/json")


def _file(path: Path, headers: dict[str, str]) -> Any:
    from aiohttp import web

    if not path.is_file():
        return _json({"error": f"There is no file {path.name[:200]}."}, 404)
    return web.FileResponse(path, headers=headers)

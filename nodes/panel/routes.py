"""What the panel on the page asks ComfyUI's server for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..support.files import inside, load_result, report_folder, result_folder
from . import live
from . import state as panel_state
from .preview_sheet import saved_sheet

WEB = Path(__file__).parents[2] / "web"
_TYPES = {".mjs": "text/javascript", ".json": "application/json"}


def register() -> None:
    """Adds the pack's addresses to ComfyUI's server, if there is one."""
    server = live.server()
    if server is None:
        return
    from aiohttp import web

    def failed(error: Exception) -> Any:
        return web.json_response({"error": str(error)}, status=400)

    @server.routes.post("/appl_search/finish")
    async def finish(request: web.Request) -> web.Response:
        """{"node_id"}: the search of this node finishes with what it has."""
        node_id = str((await request.json()).get("node_id"))
        return web.json_response({"finishing": live.finish(node_id)})

    @server.routes.get("/appl_search/running")
    async def running(_: web.Request) -> web.Response:
        """The searches that run now, for a page that was loaded again."""
        return web.json_response(live.snapshots())

    @server.routes.get("/appl_search/state")
    async def state(request: web.Request) -> web.Response:
        """?file=...: what the panel shows of a saved result."""
        try:
            path = inside(result_folder(), request.query.get("file", ""), ".json")
            file = path.relative_to(result_folder().resolve()).as_posix()
            return web.json_response(panel_state.whole(load_result(file), file, saved_sheet(file)))
        except ValueError as error:
            return failed(error)

    @server.routes.get("/appl_search/report")
    async def report(request: web.Request) -> web.StreamResponse:
        """?file=...: a saved report, as a page; ComfyUI's own /view would download it.

        The policy is also in the report itself: some settings of ComfyUI put another one in place of this header.
        """
        try:
            path = inside(report_folder(), request.query.get("file", ""), ".html")
        except ValueError as error:
            return failed(error)
        if not path.is_file():
            return web.json_response({"error": f"There is no report {path}."}, status=404)
        headers = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox"}
        return web.FileResponse(path, headers=headers)

    @server.routes.get(r"/appl_search/web/{file:(panel|lib|words)/\w+\.(mjs|json)}")
    async def web_file(request: web.Request) -> web.StreamResponse:
        """What the files of web/js import and read.

        Below WEB_DIRECTORY, ComfyUI takes every .js for an extension and loads it, and it lets browsers keep old copies of
        all but .js and .css: after an update they would mix old modules with new ones. The types are named here, because
        browsers run no module of another type, and what Windows says of .mjs is up to its registry.
        """
        path = WEB / request.match_info["file"]
        if not path.is_file():
            raise web.HTTPNotFound()
        return web.FileResponse(path, headers={"Cache-Control": "no-cache", "Content-Type": _TYPES[path.suffix]})

    @server.routes.post("/appl_search/strings")
    async def strings(request: web.Request) -> web.Response:
        """{"loras": [{"name", "sha256", "groups", "rates", "errors"}]}: the rates in every format."""
        try:
            return web.json_response(panel_state.strings_of((await request.json())["loras"]))
        except (ValueError, KeyError) as error:
            return failed(error)

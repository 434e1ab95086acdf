"""Fixtures: one ComfyUI and one browser page for a whole session, and a client for each test. Three lanes for pytest-xdist."""

from __future__ import annotations

import os
import shutil
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

from appl_search import demo
from tests.end_to_end.chromium import ARGUMENTS, RENDERERS, WINDOW, ChromiumNotFound, ComfyPage, find_chromium
from tests.end_to_end.comfy_client import ComfyClient
from tests.end_to_end.comfy_server import PACK, ComfyInstall, ComfyNotFound, ComfyServer
from tests.end_to_end.demo_graph import FEW

OTHER_PACKS = {"ComfyUI-Inspire-Pack": "INSPIRE_PATH"}
NO_SERVER = ("test_inspire_consumer.py", "test_units_in_comfyui.py")
#: What is in the ids of tests that open the page, in its older renderer where they do not say nodes2.
PAGES = ("test_browser", "test_pictures.py", "[canvas", "_in_the_page")
FAILED = pytest.StashKey[bool]()


@pytest.fixture(scope="session")
def comfy_install() -> ComfyInstall:
    """The ComfyUI to test with. Without one the test is skipped, unless COMFYUI_PATH asks for one."""
    try:
        return ComfyInstall.find()
    except ComfyNotFound as reason:
        if os.environ.get("COMFYUI_PATH"):
            raise
        pytest.skip(str(reason))


@pytest.fixture(scope="session")
def comfy(comfy_install: ComfyInstall, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ComfyServer]:
    """A running server with this pack, and with those other packs that the environment names."""
    more = {name: Path(os.environ[variable]) for name, variable in OTHER_PACKS.items() if os.environ.get(variable)}
    server = ComfyServer(comfy_install, tmp_path_factory.mktemp("comfy"), more)
    # Where the note of the example `dataset` says.
    shutil.copytree(demo.ASSETS / "images" / "styled_train", server.base / "input" / "appl_search_demo")
    shutil.copytree(demo.ASSETS / "images" / "styled_train", server.base / "input" / FEW, ignore=shutil.ignore_patterns("0[4-9].*", "1*"))
    with server:
        yield server


@pytest.fixture
def client(comfy: ComfyServer) -> Iterator[ComfyClient]:
    with ComfyClient(comfy) as client:
        yield client


@pytest.fixture(scope="session")
def screenshots() -> Path | None:
    """Where somebody wants pictures of the page."""
    named = os.environ.get("BROWSER_SCREENSHOTS")
    if not named:
        return None
    Path(named).mkdir(parents=True, exist_ok=True)
    return Path(named)


@pytest.fixture(scope="session")
def pictures() -> Path | None:
    """The repository, where UPDATE_PICTURES asks for pictures in it."""
    return PACK if os.environ.get("UPDATE_PICTURES") else None


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (requirements-dev.txt)")
    try:
        path = find_chromium()
    except ChromiumNotFound as reason:
        pytest.skip(str(reason))
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(ARGUMENTS))
        yield browser
        browser.close()


class Pages:
    """ComfyUI's page in the browser: one for all tests in a renderer, and a new one after a test that failed."""

    def __init__(self, browser: Any, comfy: ComfyServer) -> None:
        self._browser, self._comfy = browser, comfy
        self._page: ComfyPage | None = None

    def get(self, renderer: str) -> ComfyPage:
        """Skips the test where the host does not have the renderer. Settings are the server's, so only one page is open."""
        if self._page is not None and self._page.renderer == renderer:
            self._page.put_back()
        else:
            self.close()
            # Without animations, which take half of the browser's time while a search runs.
            context = self._browser.new_context(viewport=WINDOW, reduced_motion="reduce")
            context.grant_permissions(["clipboard-read", "clipboard-write"], origin=f"http://{self._comfy.address}")
            self._page = ComfyPage.open(context, self._comfy, renderer)
        if renderer == "nodes2" and not self._page.has_nodes2():
            pytest.skip("This ComfyUI offers no Nodes 2.0.")
        return self._page

    def close(self) -> None:
        if self._page is not None:
            self._page.page.context.close()
        self._page = None


@pytest.fixture(scope="session")
def pages(browser: Any, comfy: ComfyServer) -> Iterator[Pages]:
    pages = Pages(browser, comfy)
    yield pages
    pages.close()


def lend(pages: Pages, renderer: str, test: pytest.Item, comfy: ComfyServer) -> Iterator[ComfyPage]:
    yield pages.get(renderer)
    if test.stash.get(FAILED, True):
        pages.close()
        comfy.post_json("/queue", {"clear": True})
        comfy.post_json("/interrupt", {})


@pytest.fixture(params=RENDERERS)
def page(request: pytest.FixtureRequest, pages: Pages, comfy: ComfyServer) -> Iterator[ComfyPage]:
    yield from lend(pages, request.param, request.node, comfy)


@pytest.fixture
def canvas_page(request: pytest.FixtureRequest, pages: Pages, comfy: ComfyServer) -> Iterator[ComfyPage]:
    yield from lend(pages, "canvas", request.node, comfy)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if call.when == "call":
        item.stash[FAILED] = report.failed
    return report


def lane_of(nodeid: str) -> str:
    """What runs side by side: the page, the page in its other renderer and all without a page, and most of what needs no server."""
    if any(one in nodeid for one in NO_SERVER) and "[numbers]" not in nodeid:
        return "no server"
    return "canvas" if any(one in nodeid for one in PAGES) and "[nodes2" not in nodeid else "nodes2"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """One lane after the other, so that the page is opened once in each renderer."""
    lanes = ("canvas", "nodes2", "no server")
    items.sort(key=lambda item: (lanes.index(lane_of(item.nodeid)), "[nodes2" in item.nodeid, "[numbers]" in item.nodeid))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """With pytest-xdist each lane is a session of its own."""
    from xdist.scheduler import LoadScopeScheduling

    class Lanes(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return lane_of(nodeid)

    return Lanes(config, log)


@pytest.fixture(scope="session")
def loras_folder(comfy: ComfyServer) -> Path:
    """The server's loras folder, with the demo's style LoRA in it."""
    folder = comfy.base / "models" / "loras"
    folder.mkdir(exist_ok=True)
    shutil.copy(demo.lora_paths()["style"], folder)
    return folder

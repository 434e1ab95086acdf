"""Fixtures: one ComfyUI and one browser page for the whole session, a client for each test, and what runs beside them."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

from appl_search import demo
from tests.end_to_end.chromium import ARGUMENTS, RENDERERS, ChromiumNotFound, ComfyPage, find_chromium
from tests.end_to_end.comfy_client import ComfyClient
from tests.end_to_end.comfy_server import PACK, ComfyInstall, ComfyNotFound, ComfyServer
from tests.end_to_end.side_run import INSPIRE_FAMILIES, INSPIRE_LAYOUTS, INSPIRE_SEED, UNITS, SideRun

OTHER_PACKS = {"ComfyUI-Inspire-Pack": "INSPIRE_PATH"}
SIDE_RUNS = ("units_run", "inspire_runs")
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


@pytest.fixture(scope="session", autouse=True)
def side_runs(request: pytest.FixtureRequest) -> None:
    """Starts with the first test what takes minutes and needs no server, for the tests that come last."""
    used = {name for item in request.session.items for name in getattr(item, "fixturenames", ())}
    for name in SIDE_RUNS:
        if name in used:
            request.getfixturevalue(name)


@pytest.fixture(scope="session")
def inspire_runs(comfy_install: ComfyInstall, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, SideRun]]:
    """compare_with_inspire.py for each family, with that ComfyUI and the Inspire Pack that INSPIRE_PATH names; {} without one."""
    if not os.environ.get("INSPIRE_PATH"):
        yield {}
        return
    inspire = Path(os.environ["INSPIRE_PATH"]).expanduser().resolve()
    if not (inspire / "inspire" / "lora_block_weight.py").is_file():
        pytest.fail(f"INSPIRE_PATH is {inspire}, which has no inspire/lora_block_weight.py.")
    script = Path(__file__).with_name("compare_with_inspire.py")
    runs = {}
    for family in INSPIRE_FAMILIES:
        folder = tmp_path_factory.mktemp("inspire")
        command = [comfy_install.python, script, comfy_install.root, inspire, folder, family, INSPIRE_LAYOUTS, INSPIRE_SEED]
        runs[family] = SideRun(command, folder)
    yield runs
    for run in runs.values():
        run.stop()


@pytest.fixture(scope="session")
def units_run(comfy_install: ComfyInstall, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SideRun | None]:
    """The unit tests that lean on the host most, with that ComfyUI; None when its Python has no pytest."""
    if subprocess.run([comfy_install.python, "-c", "import pytest"], capture_output=True).returncode != 0:
        yield None
        return
    path = os.pathsep.join(filter(None, (str(comfy_install.root), os.environ.get("PYTHONPATH"))))
    files = [Path(__file__).resolve().parents[1] / name for name in UNITS]
    command = [comfy_install.python, "-m", "pytest", "-v", "-p", "no:cacheprovider", *files]
    run = SideRun(command, tmp_path_factory.mktemp("units"), {"PYTHONPATH": path})
    yield run
    run.stop()


@pytest.fixture(scope="session")
def comfy(comfy_install: ComfyInstall, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ComfyServer]:
    """A running server with this pack, and with those other packs that the environment names."""
    more = {name: Path(os.environ[variable]) for name, variable in OTHER_PACKS.items() if os.environ.get(variable)}
    server = ComfyServer(comfy_install, tmp_path_factory.mktemp("comfy"), more)
    # Where the note of the example `dataset` says.
    shutil.copytree(demo.ASSETS / "images" / "styled_train", server.base / "input" / "appl_search_demo")
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
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The repository, or a folder like it."""
    if os.environ.get("UPDATE_PICTURES"):
        return PACK
    folder = tmp_path_factory.mktemp("pictures")
    for name in ("example_workflows", "web/docs/images"):
        (folder / name).mkdir(parents=True)
    return folder


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
            context = self._browser.new_context(viewport={"width": 1400, "height": 1400})
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


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """One renderer after the other, so that the page is opened once in each; and last what runs beside all the others."""
    def place(item: pytest.Item) -> int:
        if set(SIDE_RUNS) & set(getattr(item, "fixturenames", ())):
            return 2
        return int(getattr(getattr(item, "callspec", None), "params", {}).get("page") == "nodes2")

    items.sort(key=place)


@pytest.fixture(scope="session")
def loras_folder(comfy: ComfyServer) -> Path:
    """The server's loras folder, with the demo's style LoRA in it."""
    folder = comfy.base / "models" / "loras"
    folder.mkdir(exist_ok=True)
    shutil.copy(demo.lora_paths()["style"], folder)
    return folder

"""Fixtures: one ComfyUI and one browser for the whole session, a client and a page for each test."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest

from appl_search import demo
from tests.end_to_end.chromium import ARGUMENTS, RENDERERS, VUE_NODES, ChromiumNotFound, ComfyPage, find_chromium
from tests.end_to_end.comfy_client import ComfyClient
from tests.end_to_end.comfy_server import PACK, ComfyInstall, ComfyNotFound, ComfyServer

OTHER_PACKS = {"ComfyUI-Inspire-Pack": "INSPIRE_PATH"}


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
    with ComfyServer(comfy_install, tmp_path_factory.mktemp("comfy"), more) as server:
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


@pytest.fixture
def open_page(browser: Any, comfy: ComfyServer) -> Callable[[str], AbstractContextManager[ComfyPage]]:
    """Opens the page in one of the RENDERERS, with a fresh browser profile. Settings are the server's, so they are put back."""

    @contextmanager
    def opened(renderer: str) -> Iterator[ComfyPage]:
        context = browser.new_context(viewport={"width": 1400, "height": 1400})
        try:
            context.grant_permissions(["clipboard-read", "clipboard-write"], origin=f"http://{comfy.address}")
            page = ComfyPage.open(context, comfy.address, renderer)
            if renderer == "nodes2" and not page.has_nodes2():
                pytest.skip("This ComfyUI offers no Nodes 2.0.")
            try:
                yield page
            finally:
                page.set("Comfy.ColorPalette", "dark")
                page.set("Comfy.Locale", "en")
                if page.has_nodes2():
                    page.set(VUE_NODES, False)
        finally:
            context.close()

    return opened


@pytest.fixture(params=RENDERERS)
def page(request: pytest.FixtureRequest, open_page) -> Iterator[ComfyPage]:
    with open_page(request.param) as page:
        yield page


@pytest.fixture
def canvas_page(open_page) -> Iterator[ComfyPage]:
    with open_page("canvas") as page:
        yield page


@pytest.fixture(scope="session")
def loras_folder(comfy: ComfyServer) -> Path:
    """The server's loras folder, with the demo's style LoRA in it."""
    folder = comfy.base / "models" / "loras"
    folder.mkdir(exist_ok=True)
    shutil.copy(demo.lora_paths()["style"], folder)
    return folder

"""Fixtures: one ComfyUI for the whole session, a client for each test."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.end_to_end.comfy_client import ComfyClient
from tests.end_to_end.comfy_server import ComfyInstall, ComfyNotFound, ComfyServer

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

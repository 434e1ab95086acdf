"""The pack's nodes by their ids, on files of a test's own."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests import oracle, pack, stand_in_folder_paths


@pytest.fixture
def node() -> Callable[[str], object]:
    """A new node of an id, as ComfyUI makes one."""
    classes = pack.load_pack().NODE_CLASS_MAPPINGS
    return lambda name: classes[name]()


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """ComfyUI's folders: loras/a.safetensors and loras/sub/b.safetensors (the oracle's), an empty output."""
    monkeypatch.setattr(stand_in_folder_paths, "root", tmp_path)
    (tmp_path / "loras" / "sub").mkdir(parents=True)
    (tmp_path / "output").mkdir()
    shutil.copy(oracle.LORA_A, tmp_path / "loras" / "a.safetensors")
    shutil.copy(oracle.LORA_B, tmp_path / "loras" / "sub" / "b.safetensors")
    return tmp_path


@pytest.fixture(scope="session")
def model():
    """The oracle's tiny SDXL. Nodes never change it, so all tests share it."""
    return oracle.sdxl()

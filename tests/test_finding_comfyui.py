"""With which Python the end-to-end tests run a ComfyUI that they find; where none can run it they are skipped and say why."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.end_to_end.comfy_server import ComfyInstall, ComfyNotFound


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that looks like a ComfyUI and asks for two packages; nothing says which Python runs it."""
    folder = tmp_path / "ComfyUI"
    (folder / "comfy").mkdir(parents=True)
    (folder / "main.py").touch()
    (folder / "requirements.txt").write_text("some-frontend==1.2\n\n# not essential:\nnumpy>=1.25\n", encoding="utf-8")
    monkeypatch.setenv("COMFYUI_PATH", str(folder))
    monkeypatch.delenv("COMFYUI_PYTHON", raising=False)
    return folder


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What this Python has installed: a folder in place of everything on its path."""
    folder = tmp_path / "site-packages"
    folder.mkdir()
    monkeypatch.setattr(sys, "path", [str(folder)])
    return folder


def install(packages: Path, *names: str) -> None:
    for name in names:
        about = packages / f"{name}-2.0.dist-info"
        about.mkdir()
        (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 2.0\n", encoding="utf-8")


def test_this_python_runs_it_where_it_has_all_that_it_asks_for(root: Path, packages: Path) -> None:
    install(packages, "some_frontend", "numpy")
    (packages / "comfy").mkdir()  # a folder alone hides nothing
    assert ComfyInstall.find() == ComfyInstall(root, Path(sys.executable))


def test_a_python_without_its_requirements_does_not_run_it(root: Path, packages: Path) -> None:
    install(packages, "numpy")
    with pytest.raises(ComfyNotFound, match=r"lacks what .*requirements.txt lists \(some-frontend\).*COMFYUI_PYTHON"):
        ComfyInstall.find()


def test_a_python_whose_own_comfy_hides_that_of_comfyui_does_not_run_it(root: Path, packages: Path) -> None:
    """So is the Python of these tests itself: the embedded host is an installed package `comfy`."""
    install(packages, "some_frontend", "numpy")
    (packages / "comfy").mkdir()
    (packages / "comfy" / "__init__.py").touch()
    with pytest.raises(ComfyNotFound, match="hides ComfyUI's.*COMFYUI_PYTHON"):
        ComfyInstall.find()


def test_the_python_beside_it_is_taken_before_this_one(root: Path, packages: Path) -> None:
    beside = root / "venv" / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    beside.parent.mkdir(parents=True)
    beside.touch()
    assert ComfyInstall.find().python == beside

"""The unit tests that lean on the host most, once more with an installed ComfyUI: it is newer than the embedded one."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.end_to_end.comfy_server import ComfyInstall

FOLDER = Path(__file__).resolve().parents[1]
TESTS = (
    "test_adapters.py", "test_bake.py", "test_memory.py", "test_nothing_changes.py", "test_own_layers.py", "test_patches.py",
    "test_published_program.py",
)  # fmt: skip


def test_adapters_memory_and_parity_in_this_comfyui(comfy_install: ComfyInstall):
    if subprocess.run([comfy_install.python, "-c", "import pytest"], capture_output=True).returncode != 0:
        pytest.skip(f"{comfy_install.python} has no pytest.")
    path = os.pathsep.join(filter(None, (str(comfy_install.root), os.environ.get("PYTHONPATH"))))
    run = subprocess.run(
        [comfy_install.python, "-m", "pytest", "-v", "-p", "no:cacheprovider", *(FOLDER / name for name in TESTS)],
        env=os.environ | {"PYTHONPATH": path}, capture_output=True, text=True,
    )  # fmt: skip
    assert run.returncode == 0, run.stdout[-3000:] + run.stderr[-3000:]
    assert "boft" in run.stdout

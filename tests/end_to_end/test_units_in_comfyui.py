"""The unit tests that lean on the host most, once more with an installed ComfyUI: it is newer than the embedded one."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.end_to_end.comfy_server import ComfyInstall

TESTS = Path(__file__).resolve().parents[1]
#: In processes of their own, of which conftest.py puts the last beside other tests than the first two.
GROUPS = {
    "patches": ("test_patches.py", "test_hooks.py", "test_sd15.py", "exploring/test_signature.py"),
    "weights": ("test_own_layers.py", "test_dynamic_loading.py", "test_devices.py", "test_memory.py"),
    "numbers": ("test_adapters.py", "test_bake.py", "test_published_program.py", "test_nothing_changes.py"),
}
#: Of these files, what takes long and is about the search alone, the tests, or torch alone (bf16 beside fp16).
NOT_ABOUT_THE_HOST = (
    "test_memory.py::test_a_search_ends_the_same_however_it_is_computed", "exploring/test_signature.py::test_it_is_the_same_in_another_process",
    "test_adapters.py::test_in_half_precision[bf16", "test_sd15.py::test_figures_and_report_show_the_26_blocks",
    "test_devices.py::test_the_stand_in_sees_fp64_and_tensors_that_are_elsewhere", "test_devices.py::test_a_search_on_a_device_without_fp64[adamw-0]",
)  # fmt: skip
PATIENCE = 1800.0  # seconds


@pytest.mark.parametrize("group", GROUPS)
def test_unit_tests_in_this_comfyui(group: str, comfy_install: ComfyInstall, tmp_path: Path):
    if subprocess.run([comfy_install.python, "-c", "import pytest"], capture_output=True).returncode != 0:
        pytest.skip("ComfyUI's Python has no pytest.")
    path = os.pathsep.join(filter(None, (str(comfy_install.root), os.environ.get("PYTHONPATH"))))
    left_out = [part for name in NOT_ABOUT_THE_HOST for part in ("--deselect", f"tests/{name}")]
    command = [comfy_install.python, "-m", "pytest", "-v", "-p", "no:cacheprovider", *left_out, *(TESTS / name for name in GROUPS[group])]
    run = subprocess.run(command, cwd=tmp_path, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, timeout=PATIENCE)
    assert run.returncode == 0, run.stdout[-6000:] + run.stderr[-2000:]
    assert " passed" in run.stdout.splitlines()[-1]

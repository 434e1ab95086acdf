"""A program that runs beside the tests, on a core that they leave free."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

#: The unit tests that lean on the host most.
UNITS = (
    "test_adapters.py", "test_bake.py", "test_devices.py", "test_dynamic_loading.py", "test_hooks.py", "test_look.py", "test_memory.py",
    "test_nothing_changes.py", "test_own_layers.py", "test_patches.py", "test_published_program.py", "test_sd15.py",
    "exploring/test_signature.py",
)  # fmt: skip
INSPIRE_FAMILIES, INSPIRE_LAYOUTS, INSPIRE_SEED = ("sdxl", "sd15"), 300, 20


class SideRun:
    """Started at once; what it prints goes to a file in ``folder``, where it also runs."""

    def __init__(self, command: Sequence[object], folder: Path, environment: Mapping[str, str] | None = None) -> None:
        self.folder = folder
        self._output = folder / "output.txt"
        with self._output.open("wb") as output:
            self._process = subprocess.Popen(
                [str(part) for part in command], cwd=folder, stdin=subprocess.DEVNULL, stdout=output,
                stderr=subprocess.STDOUT, env={**os.environ, **(environment or {})},
            )  # fmt: skip

    def finish(self, timeout: float) -> tuple[int, str]:
        """Its exit status, when it has ended, and what it printed. Raises TimeoutExpired."""
        status = self._process.wait(timeout)
        return status, self._output.read_text(encoding="utf-8", errors="replace")

    def stop(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()

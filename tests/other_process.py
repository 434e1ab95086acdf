"""A program that runs in a Python process of its own, with these tests and the embedded host ready."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
#: Other packages bring a `tests` of their own, which would be found before this folder without an `__init__.py`.
_READY = f"""
import sys, types
sys.modules["tests"] = types.ModuleType("tests")
sys.modules["tests"].__path__ = [{str(ROOT / "tests")!r}]
from appl_search.host.embedded import prepare
prepare()
import torch
torch.set_num_threads(1)
"""


def start(lines: Sequence[str]) -> subprocess.Popen:
    """Starts a program; what it prints can be read from the process's ``stdout`` and ``stderr``."""
    program = "\n".join([_READY, *lines])
    pipe = subprocess.PIPE
    return subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, stdout=pipe, stderr=pipe, text=True)


def run(lines: Sequence[str], seconds: float = 120) -> subprocess.CompletedProcess:
    """Runs a program to its end."""
    process = start(lines)
    out, errors = process.communicate(timeout=seconds)
    return subprocess.CompletedProcess(process.args, process.returncode, out, errors)

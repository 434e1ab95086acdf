"""`python run.py`: the commands that it starts are in charge, of Ctrl-C and of the user's own folder."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
#: Takes a second to save something at Ctrl-C, as a search does at the end of its step.
CHILD = """
import signal, sys, time
def save(*_):
    time.sleep(1)
    print("saved", flush=True)
    sys.exit(7)
signal.signal(signal.SIGINT, save)
print("ready", flush=True)
time.sleep(30)
"""


@pytest.mark.skipif(os.name == "nt", reason="Windows sends Ctrl-C to whole consoles")
def test_ctrl_c_leaves_the_command_the_time_that_it_needs():
    program = f"import signal, sys, run; signal.signal(signal.SIGINT, signal.default_int_handler); sys.exit(run.run(sys.executable, '-c', {CHILD!r}))"
    process = subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, text=True, start_new_session=True)
    assert process.stdout.readline() == "ready\n"
    os.killpg(process.pid, signal.SIGINT)
    assert (process.communicate(timeout=20)[0], process.returncode) == ("saved\n", 7)


def test_paths_of_a_search_start_in_the_users_folder(tmp_path):
    (tmp_path / "mine.toml").write_text("no_such_option = 1\n", encoding="utf-8")
    program = f"import sys; sys.path.insert(0, {str(ROOT)!r}); import run; run.venv_python = lambda: sys.executable; sys.exit(run.shell('search', ['--config', 'mine.toml']))"
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (2, "error: There is no option --no-such-option. See search --help.\n")

#!/usr/bin/env python3
"""One command for each thing one does with this project without ComfyUI:

    python run.py setup              makes .venv and installs what the rest needs (again only after a change)
    python run.py demo  [options]    searches the block weights of the demo's LoRAs on a tiny SDXL
    python run.py search [options]   searches block weights of your LoRAs, checkpoint and pictures; --help has the options
    python run.py test  [options]    all tests; the options are pytest's
    python run.py bench [options]    the benchmarks; --only pictures: what a thousand pictures cost

Each one sets up first. Needs Python 3.10 or later and nothing else.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
STAMP = VENV / "requirements.sha256"
REQUIREMENTS = ROOT / "requirements-dev.txt"
HOST_REQUIREMENTS = ROOT / "requirements-host.txt"
WEB_TESTS = ROOT / "tests" / "web"
END_TO_END = "tests/end_to_end"
OLDEST_PYTHON = (3, 10)
OLDEST_NODE = 18  # the first with `node --test`


class SetupError(Exception):
    """Setting up failed; the message says how to mend it."""


def venv_python() -> Path:
    """The interpreter inside .venv."""
    return VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def run(*command: str | Path, folder: Path | None = ROOT, env: dict[str, str] | None = None) -> int:
    """Runs a command in a folder (the project's; None: the user's) and returns its exit status.

    Ctrl-C is the command's own business: it gets it, too, and may have something to save.
    """
    sys.stdout.flush()
    with subprocess.Popen([str(part) for part in command], cwd=folder, env=env) as process:
        while True:
            try:
                return process.wait()
            except KeyboardInterrupt:
                continue


def shell(command: str, arguments: list[str]) -> int:
    """Runs a command of the program in the user's own folder: paths in its options start there."""
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    return run(venv_python(), "-m", "appl_search", command, *arguments, folder=None, env=env)


def requirements_hash() -> str:
    """Changes whenever the environment must be brought up to date."""
    digest = hashlib.sha256(repr((sys.version_info[:2], sys.platform)).encode())
    for path in (REQUIREMENTS, HOST_REQUIREMENTS):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def make_venv() -> None:
    """Makes .venv anew unless a working one of this Python version is there."""
    asks_version = [str(venv_python()), "-c", "import sys, pip; print(*sys.version_info[:2])"]
    if venv_python().exists():
        answer = subprocess.run(asks_version, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        if answer.stdout.split() == [str(number) for number in sys.version_info[:2]]:
            return
    if importlib.util.find_spec("venv") is None or importlib.util.find_spec("ensurepip") is None:
        raise SetupError(
            "This Python has no 'venv' module. On Debian and Ubuntu: sudo apt install "
            f"python{sys.version_info[0]}.{sys.version_info[1]}-venv. Elsewhere: use a Python from python.org."
        )
    print(f"Making {VENV} with Python {sys.version.split()[0]}", flush=True)
    if run(sys.executable, "-m", "venv", "--clear", VENV) != 0:
        raise SetupError(f"Could not make {VENV} (see above). Delete that folder and try again.")


def setup() -> None:
    """Brings .venv up to date. Costs nothing when the requirement files have not changed."""
    wanted = requirements_hash()
    if venv_python().exists() and STAMP.exists() and STAMP.read_text().strip() == wanted:
        return
    make_venv()
    print("Installing the requirements (the first time takes some minutes)", flush=True)
    pip = [venv_python(), "-m", "pip", "install", "--disable-pip-version-check"]
    if not sys.stdout.isatty():
        pip.append("--quiet")
    for extra in (("-r", REQUIREMENTS), ("--no-deps", "--require-hashes", "-r", HOST_REQUIREMENTS)):
        if run(*pip, *extra) != 0:
            raise SetupError(
                f"pip could not install {extra[-1].name} (its own message is above).\n"
                "- No network or a proxy? Set HTTPS_PROXY, or PIP_INDEX_URL for a mirror, and run this again.\n"
                "- 'No matching distribution'? Use Python 3.10 to 3.13 on Linux, Windows or an Apple silicon Mac.\n"
                "- 'No space left'? requirements-dev.txt says how to get the much smaller CPU build of torch."
            )
    STAMP.write_text(wanted + "\n")


def web_tests() -> int:
    """Runs the tests of the web folder with Node's own test runner, where there is one."""
    tests = sorted(WEB_TESTS.glob("*.test.mjs"))
    node = shutil.which("node")
    if not tests:
        reason = "there are none"
    elif node is None:
        reason = "no 'node' on the PATH"
    else:
        version = subprocess.run([node, "--version"], stdout=subprocess.PIPE, text=True).stdout.strip()
        number = re.match(r"v(\d+)", version)
        if number is not None and int(number[1]) >= OLDEST_NODE:
            return run(node, "--test", *tests)
        reason = f"Node {version or '(unknown)'} is older than {OLDEST_NODE}"
    print(f"Web tests skipped: {reason}.", flush=True)
    return 0


def test(arguments: list[str]) -> int:
    """The Python tests, then the web tests; a failure of either is a failure.

    Without options the unit tests run side by side, a file at a time, and then those with a ComfyUI, in the lanes that their
    conftest.py sorts them into.
    """
    runs = [arguments]
    if not arguments:
        os.environ.setdefault("OMP_NUM_THREADS", "1")  # the processes share the cores; each grows to some 4 GB
        side_by_side = ["-n", "auto", "--maxprocesses", "3", "--dist", "loadfile"]
        runs = [[f"--ignore={END_TO_END}", *side_by_side], [END_TO_END, "-n", "3"]]
    statuses = [run(venv_python(), "-m", "pytest", *given) for given in runs]
    return next(filter(None, (*statuses, web_tests())), 0)


def main(arguments: list[str]) -> int:
    commands = {
        "setup": lambda rest: 0,
        "demo": lambda rest: shell("demo", rest),
        "search": lambda rest: shell("search", rest),
        "test": test,
        "bench": lambda rest: run(venv_python(), "tests/benchmarks", *rest),
    }
    if arguments and arguments[0] in ("-h", "--help", "help"):
        print(__doc__)
        return 0
    if not arguments or arguments[0] not in commands:
        print(f"Expected one of {', '.join(commands)}, got {' '.join(arguments) or 'nothing'}.\n\n{__doc__}",
              file=sys.stderr)
        return 2
    if sys.version_info < OLDEST_PYTHON:
        print(f"Python 3.10 or later is needed, this is {sys.version.split()[0]} ({sys.executable}). "
              "Run this with a newer one, for example: python3.12 run.py " + arguments[0], file=sys.stderr)
        return 1
    try:
        setup()
    except SetupError as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    return commands[arguments[0]](arguments[1:])


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)

"""Finds a ComfyUI on this machine and runs it on files of its own, so that the user's stay untouched."""

from __future__ import annotations

import importlib.machinery
import importlib.metadata
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

PACK = Path(__file__).resolve().parents[2]
NOT_PART_OF_THE_PACK = (".git", ".venv", "__pycache__", ".pytest_cache", ".hypothesis")
OWN_FOLDERS = ("custom_nodes", "models", "input", "output", "temp", "user")
POLL_SECONDS = 0.25

# Straight to this machine, whatever proxy the environment names.
_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class ComfyNotFound(Exception):
    """There is no ComfyUI to test with; the message says where it was looked for."""


class ComfyFailed(Exception):
    """ComfyUI did not start, or died; the message ends with its log's last lines."""


@dataclass(frozen=True)
class ComfyInstall:
    """A ComfyUI folder and the Python that runs it."""

    root: Path
    python: Path

    @classmethod
    def find(cls) -> ComfyInstall:
        """By COMFYUI_PATH and COMFYUI_PYTHON, else in the usual places."""
        root = _find_root()
        return cls(root, _find_python(root))

    @cached_property
    def _known_options(self) -> str:
        return (self.root / "comfy" / "cli_args.py").read_text(encoding="utf-8")

    def knows(self, option: str) -> bool:
        """Whether this version has a command line option."""
        return f'"{option}"' in self._known_options


def _find_root() -> Path:
    named = os.environ.get("COMFYUI_PATH")
    places = [Path(named).expanduser()] if named else [PACK.parents[1], Path.home() / "comfy" / "ComfyUI"]
    for place in places:
        if (place / "main.py").is_file() and (place / "comfy").is_dir():
            return place
    where = ", ".join(str(place) for place in places)
    raise ComfyNotFound(f"No ComfyUI (a folder with main.py and comfy/) at {where}. Set COMFYUI_PATH to one.")


def _find_python(root: Path) -> Path:
    named = os.environ.get("COMFYUI_PYTHON")
    if named:
        if shutil.which(named) is None:
            raise ComfyNotFound(f"COMFYUI_PYTHON is {named}, which is not an executable file.")
        return Path(named)
    in_folder = "Scripts/python.exe" if os.name == "nt" else "bin/python"
    beside = [folder / name / in_folder for folder in (root, root.parent) for name in (".venv", "venv")]
    for python in (*beside, root.parent / "python_embeded" / "python.exe"):
        if python.is_file():
            return python
    if reason := _why_this_python_cannot_run(root):
        raise ComfyNotFound(
            f"ComfyUI is at {root}, but there is no .venv or venv beside it, and this Python ({sys.executable}) {reason}. "
            "Set COMFYUI_PYTHON to the Python that runs it."
        )
    return Path(sys.executable)


def _why_this_python_cannot_run(root: Path) -> str | None:
    """What keeps the Python of the tests from running a ComfyUI; None when nothing does."""
    # ComfyUI's comfy/ has no __init__.py. Python takes a package that has one before it, wherever on the path it is.
    hiding = importlib.machinery.PathFinder.find_spec("comfy")
    if hiding is not None and hiding.origin is not None:
        return f"has a comfy package of its own, which hides ComfyUI's ({hiding.origin})"
    listed = (root / "requirements.txt").read_text(encoding="utf-8").splitlines()
    names = [named[0] for line in listed if (named := re.match(r"[\w.-]+", line))]
    missing = [name for name in names if not _is_installed(name)]
    return f"lacks what {root / 'requirements.txt'} lists ({', '.join(missing)})" if missing else None


def _is_installed(name: str) -> bool:
    try:
        importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


class ComfyServer:
    """A running ComfyUI with this pack, on a free port. A context manager.

    ``base`` is a folder for everything it writes; ``more_packs`` are other node packs, by folder name.
    """

    def __init__(self, install: ComfyInstall, base: Path, more_packs: Mapping[str, Path] | None = None) -> None:
        self.install = install
        self.base = base
        self.packs = {"appl-search": PACK, **(more_packs or {})}
        self.log_path = base / "server.log"
        self.address = f"127.0.0.1:{_free_port()}"
        self.start_seconds = 0.0
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> ComfyServer:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def output_folder(self) -> Path:
        return self.base / "output"

    @property
    def version(self) -> str:
        """Of the ComfyUI that runs."""
        return self.get_json("/system_stats")["system"]["comfyui_version"]

    def start(self, timeout: float = 300.0) -> None:
        """Starts it and returns when it answers /object_info."""
        for name in OWN_FOLDERS:
            (self.base / name).mkdir(parents=True, exist_ok=True)
        for name, source in self.packs.items():
            _link_or_copy(source, self.base / "custom_nodes" / name)
        began = time.monotonic()
        with self.log_path.open("wb") as log:
            self._process = subprocess.Popen(
                self.command(), cwd=self.install.root, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                env={**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONIOENCODING": "utf-8"},
            )
        try:
            self._wait_until_ready(began + timeout)
        except BaseException:
            self.stop()
            raise
        self.start_seconds = time.monotonic() - began

    def stop(self) -> None:
        """Ends the server that this object started."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def command(self) -> list[str]:
        """The command line, with only the options that this version knows."""
        host, port = self.address.split(":")
        command = [str(self.install.python), "main.py", "--cpu", "--listen", host, "--port", port]
        for option in ("--disable-auto-launch", "--disable-api-nodes"):
            if self.install.knows(option):
                command.append(option)
        if self.install.knows("--database-url"):
            command += ["--database-url", f"sqlite:///{(self.base / 'user' / 'comfyui.db').as_posix()}"]
        if self.install.knows("--base-directory"):
            return [*command, "--base-directory", str(self.base)]
        return command + self._folders_of_an_old_host()

    def _folders_of_an_old_host(self) -> list[str]:
        """Before --base-directory: every folder by itself. The host's own custom nodes are loaded as well."""
        paths = self.base / "extra_model_paths.yaml"
        paths.write_text(json.dumps({"tests": {"custom_nodes": str(self.base / "custom_nodes")}}), encoding="utf-8")
        options = ["--extra-model-paths-config", str(paths)]
        for name in ("input", "output", "user"):
            if self.install.knows(f"--{name}-directory"):
                options += [f"--{name}-directory", str(self.base / name)]
        return [*options, "--temp-directory", str(self.base)]  # to which ComfyUI itself adds temp/

    def get_json(self, path: str, timeout: float = 30.0) -> Any:
        """GET a path of the server."""
        with _opener.open(f"http://{self.address}{path}", timeout=timeout) as answer:
            return json.load(answer)

    def post_json(self, path: str, body: Any, timeout: float = 30.0) -> tuple[int, Any]:
        """POST a JSON body; returns the HTTP status and the answer (None when it is empty)."""
        request = urllib.request.Request(
            f"http://{self.address}{path}", json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        try:
            with _opener.open(request, timeout=timeout) as answer:
                status, text = answer.status, answer.read()
        except urllib.error.HTTPError as error:
            status, text = error.code, error.read()
        return status, json.loads(text) if text else None

    def log_tail(self, lines: int = 40) -> str:
        """The end of what the server has printed."""
        text = self.log_path.read_text(encoding="utf-8", errors="replace")
        return "\n".join(text.splitlines()[-lines:])

    def check_alive(self) -> None:
        """Raises ComfyFailed, with the log's end, when the process has ended."""
        if self._process is None:
            raise ComfyFailed("ComfyUI has not been started.")
        status = self._process.poll()
        if status is not None:
            raise ComfyFailed(f"ComfyUI ended with status {status}. {self.log_path} ends with:\n{self.log_tail()}")

    def _wait_until_ready(self, deadline: float) -> None:
        while time.monotonic() < deadline:
            self.check_alive()
            try:
                self.get_json("/object_info")
                return
            except OSError:
                time.sleep(POLL_SECONDS)
        raise ComfyFailed(f"ComfyUI did not answer in time. {self.log_path} ends with:\n{self.log_tail()}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _link_or_copy(source: Path, target: Path) -> None:
    """A symlink, or a copy where the system does not permit one (Windows without developer mode)."""
    try:
        target.symlink_to(source, target_is_directory=True)
    except OSError:
        shutil.copytree(source, target, ignore=shutil.ignore_patterns(*NOT_PART_OF_THE_PACK))

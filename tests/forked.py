"""Processes of a search as a launcher starts them, without the seconds that each would need to import everything."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.other_process import ROOT

#: Imports everything, then forks as many processes as each line of its input asks for, and says how they ended.
_SERVER = """
import json, os, sys
os.environ["OMP_NUM_THREADS"] = "1"
from appl_search.host.embedded import prepare
prepare()
from appl_search.cli import kept_search, main, outputs
from appl_search.report import figures, html
for line in sys.stdin:
    wanted = json.loads(line)
    pids = []
    for number, environment in enumerate(wanted["environments"]):
        pid = os.fork()
        if not pid:
            os.environ.update(environment)
            file = os.open(f"{wanted['said']}/{number}.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(file, 1), os.dup2(file, 2)
            exec(wanted["program"])
            status = main.main(wanted["arguments"])
            sys.stdout.flush(), sys.stderr.flush()
            os._exit(status)
        pids.append(pid)
    print(json.dumps(pids), flush=True)
    print(json.dumps([os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]), flush=True)
"""


class Launcher:
    """Starts processes one lot after the other, inside ``with``."""

    def __enter__(self) -> Launcher:
        pipe = subprocess.PIPE
        self._server = subprocess.Popen([sys.executable, "-c", _SERVER], cwd=ROOT, stdin=pipe, stdout=pipe, text=True)
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stdin.close()
        self._server.wait(timeout=60)

    def start(self, count: int, said: Path, arguments: Sequence[object], program: str = "") -> list[int]:
        """The ids of processes that run a command, and before it ``program``. What they say goes to files in ``said``."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": str(count)}
        environments = [{**shared, "RANK": str(number), "LOCAL_RANK": str(number)} for number in range(count)]
        said.mkdir(parents=True, exist_ok=True)
        self._said, self._count = said, count
        wanted = {"environments": environments, "arguments": list(map(str, arguments)), "program": program, "said": os.fspath(said)}
        self._server.stdin.write(json.dumps(wanted) + "\n")
        self._server.stdin.flush()
        return json.loads(self._server.stdout.readline())

    def ended(self) -> list[tuple[int, str]]:
        """(exit status, what was said) of each process of the last lot, when all have ended."""
        statuses = json.loads(self._server.stdout.readline())
        return [(status, (self._said / f"{number}.txt").read_text()) for number, status in enumerate(statuses)]

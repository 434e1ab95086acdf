"""The command line: `python -m appl_search COMMAND`. What bears on block weights alone works without ComfyUI and a GPU."""

from __future__ import annotations

import errno
import sys
import traceback

from ..searching.events import SearchDiverged
from ..searching.team import TeamError, is_first_process
from . import apply_info, bake, convert, demo, evaluate, look, search
from .parser import Parser

COMMANDS = (search, evaluate, demo, convert, bake, apply_info, look)
#: Errors of files that no other arguments would have mended: no room, a broken disk.
_OF_THE_MACHINE = (errno.ENOSPC, errno.EIO, errno.EMFILE)
DONE, FAILED, BAD_INPUT, INTERRUPTED = 0, 1, 2, 130


def main(arguments: list[str] | None = None) -> int:
    """Runs one command; returns the exit status.

    0: done. 2: the input was bad; its reason is printed on one line. 130: interrupted. 1: anything else.
    """
    try:
        options = parser().parse_args(arguments)
        options.run(options)
    except ValueError as error:
        return _told(error, BAD_INPUT)
    except OSError as error:
        return _told(error, FAILED if error.errno in _OF_THE_MACHINE else BAD_INPUT)
    except ModuleNotFoundError as error:
        return _told(error, BAD_INPUT) if error.name else _failed()
    except (SearchDiverged, TeamError) as error:
        return _told(error, FAILED)
    except KeyboardInterrupt as error:
        if is_first_process():
            print(str(error) or "Interrupted.", file=sys.stderr)
        return INTERRUPTED
    except Exception:
        return _failed()
    return DONE


def parser() -> Parser:
    """Of all commands."""
    made = Parser(prog="python -m appl_search", description="Block weights of LoRAs.")
    commands = made.add_subparsers(required=True, metavar="COMMAND")
    for command in COMMANDS:
        command.add(commands)
    return made


def _told(error: Exception, status: int) -> int:
    print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
    return status


def _failed() -> int:
    traceback.print_exc()
    return FAILED

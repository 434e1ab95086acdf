"""What a search changes for a while, and how it is put back whatever happens."""

from __future__ import annotations

from collections.abc import Callable

_ABSENT = object()


class Undo:
    """Changes to dicts (attributes, parameters) and calls to make at the end; all of it is put back on leaving ``with``.

    Putting back is plain assignments, last first, in one loop without calls that could fail half way. An error in a
    call keeps nothing from being done; the first one is raised when everything else is back.
    """

    def __init__(self):
        self._steps: list[tuple] = []

    def put(self, into: dict, key: object, value: object) -> None:
        """``into[key] = value``, until the end."""
        self._steps.append((into, key, into.get(key, _ABSENT)))
        into[key] = value

    def remove(self, out_of: dict, key: object) -> None:
        """Takes a key out of a dict, until the end; it may come back at another place of the order."""
        self._steps.append((out_of, key, out_of[key]))
        del out_of[key]

    def call(self, function: Callable[[], object]) -> None:
        """Calls ``function`` at the end."""
        self._steps.append((function,))

    def __enter__(self) -> Undo:
        return self

    def __exit__(self, *_) -> None:
        first = None
        while self._steps:
            try:
                step = self._steps[-1]
                if len(step) == 1:
                    self._steps.pop()  # first, or a call that fails would be made for ever
                    step[0]()
                    continue
                if step[2] is _ABSENT:
                    step[0].pop(step[1], None)
                else:
                    step[0][step[1]] = step[2]
                self._steps.pop()  # only now: Ctrl-C between two lines loses nothing
            except BaseException as error:
                first = first or error
        if first is not None:
            raise first

    def __del__(self):
        self.__exit__()

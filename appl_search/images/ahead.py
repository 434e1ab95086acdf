"""Work that threads do while others wait for something else."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def ahead(work: Callable[[T], R], items: Iterable[T], threads: int, most: int) -> Iterator[R]:
    """``work`` of each item, in their order, done by threads that are at most ``most`` items ahead of what was taken.

    An error of an item is raised in its place; what has not begun by then is not done.
    """
    with ThreadPoolExecutor(threads, "appl_search ahead") as pool:
        coming: deque[Future[R]] = deque()
        try:
            for item in items:
                coming.append(pool.submit(work, item))
                if len(coming) > most:
                    yield coming.popleft().result()
            while coming:
                yield coming.popleft().result()
        finally:
            for future in coming:
                future.cancel()

"""What waits for a disk or something else that is slow, which may hang.

Each has threads of its own: neither events nor calls wait for one of them.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Any, TypeVar

from guardian.core.errors import Unavailable

_WAIT_S = 20.0

T = TypeVar("T")


class DiskThreads:
    """A few threads, and a bound on what waits for them. From an event loop, any number of them."""

    def __init__(self, name: str, threads: int, most: int) -> None:
        """name: for sentences. most: how much is done or waits at a time; more is refused."""
        self._name = name.capitalize()
        self._pool = ThreadPoolExecutor(threads, name)
        self._room = threading.BoundedSemaphore(most)

    async def run(self, work: Callable[[], T], undo: Callable[[T], object] = lambda _: None) -> T:
        """The answer of `work`. Unavailable when it takes too long, or too much waits already.

        undo: gets an answer that comes when nobody waits for it any longer.
        """
        if not self._room.acquire(blocking=False):
            raise Unavailable(f"{self._name} is busy; try again.")
        future = self._pool.submit(work)
        future.add_done_callback(lambda _: self._room.release())
        try:
            async with asyncio.timeout(_WAIT_S):
                return await asyncio.wrap_future(future)
        except BaseException as error:
            future.add_done_callback(lambda late: _undone(late, undo))
            if isinstance(error, TimeoutError):
                raise Unavailable(f"{self._name} takes too long to answer; try again.") from None
            raise


def _undone(late: Future[T], undo: Callable[[T], Any]) -> None:
    if not late.cancelled() and late.exception() is None:
        with suppress(OSError):  # It may be the disk that hung.
            undo(late.result())


EVIDENCE = DiskThreads("evidence", 4, 64)
SESSIONS = DiskThreads("the console", 4, 128)
SIGN_INS = DiskThreads("signing in", 4, 36)
"""Of this process: what hangs, hangs in these."""

"""A lane: one thread for one stage, with an age that tells when it is stuck."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TypeVar

from guardian.core.errors import GuardianError

logger = logging.getLogger(__name__)

T = TypeVar("T")


def stand_back(niceness: int) -> None:
    """This thread yields to others by `niceness` (0..19) from now on. Linux only."""
    # On Linux a thread has a niceness of its own (setpriority(2), "C library/kernel differences").
    if sys.platform != "linux":
        return
    with suppress(OSError):  # A sandbox that forbids it: the thread runs as any other.
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), niceness)


def process_stands_back(niceness: int) -> None:
    """Every thread of this process yields to others by `niceness` (0..19) from now on. Linux only."""
    with suppress(OSError):  # No /proc: elsewhere, all threads go on as they are.
        for thread in os.listdir("/proc/self/task"):
            with suppress(OSError):  # It has ended, or a sandbox forbids it.
                os.setpriority(os.PRIO_PROCESS, int(thread), niceness)


def session_stands_back(niceness: int) -> bool:
    """The session this process leads yields to others by `niceness` (0..19), if that counts here at all.

    Unlike a thread's niceness anybody may take it back. False: not now, somebody else has just done so too.
    """
    try:
        # sched(7), "The autogroup feature": between sessions only this one counts.
        with open("/proc/self/autogroup", "w", encoding="ascii") as group:
            group.write(str(niceness))
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


class Lane:
    """Runs one function at a time in its own thread. A stuck function cannot be cancelled: its age
    is reported, and whoever supervises the process decides."""

    def __init__(self, name: str, niceness: int = 0) -> None:
        """niceness: how far the thread stands back when cores are short, 0..19."""
        self._pool = ThreadPoolExecutor(1, name, stand_back, (niceness,))
        self._since: float | None = None

    @property
    def age_s(self) -> float:
        """Seconds the function at work has been running; 0 when idle."""
        since = self._since
        return 0.0 if since is None else time.monotonic() - since

    async def run(self, work: Callable[[], T], timeout_s: float) -> T:
        """The result of `work`. TimeoutError after `timeout_s`; the thread stays busy then."""

        def job() -> T:
            self._since = time.monotonic()
            try:
                return work()
            finally:
                self._since = None

        future = asyncio.get_running_loop().run_in_executor(self._pool, job)
        async with asyncio.timeout(timeout_s):
            return await future

    def close(self) -> None:
        """Takes no more work and does not wait for what is running."""
        self._pool.shutdown(wait=False, cancel_futures=True)


def log_not_loaded(what: str, error: Exception) -> None:
    """Says why a lane has nothing to work with: the error's type, and the sentence of one of our own.

    Other errors' messages are kept out of logs: they may quote what they worked on.
    """
    why = str(error) if isinstance(error, GuardianError) else ""
    logger.error(what, extra={"error": type(error).__name__, "why": why})

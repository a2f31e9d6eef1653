"""Runs asynchronous work so that it ends in good order when the program is told to end."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


def run_until_told(work: Coroutine[Any, Any, T]) -> T:
    """`asyncio.run` that cancels the work on SIGTERM and SIGHUP too, and then exits with 128 + number.

    An exception in the middle of the event loop, which is all a plain handler can raise, would leave the
    work's own endings (hang up, stop the server) to a loop whose other tasks are gone.
    """
    told: list[int] = []

    async def listening() -> T:
        task, loop = asyncio.current_task(), asyncio.get_running_loop()
        assert task is not None

        def end(number: int) -> None:
            told.append(number)
            task.cancel()

        for number in (signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is not signal.SIG_IGN:
                loop.add_signal_handler(number, end, number)
        return await work

    try:
        return asyncio.run(listening())
    except asyncio.CancelledError:
        if told:
            sys.exit(128 + told[0])
        raise

"""Tasks that surely end, even those that lose a cancellation.

The client of NATS, and `wait_for` and groups of Python 3.11, lose one that comes with an answer or an error:
a group that has told its tasks to end then waits for good, with half of them still at work.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any

_CANCEL_S = 2.0
"""What tidies up after it was cancelled is given so long."""


async def ended(tasks: Sequence[asyncio.Task[Any]]) -> None:
    """Cancels tasks until they have ended; a cancellation of its own comes after that."""
    cancelled = None
    while not all(task.done() for task in tasks):
        for task in tasks:
            task.cancel()
        try:
            await asyncio.wait(tasks, timeout=_CANCEL_S)
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled


async def until_one_ends(*works: Coroutine[Any, Any, object]) -> None:
    """Does all of these until one returns or fails, and ends the others. An ExceptionGroup of what failed."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(work) for work in works]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            await ended(tasks)

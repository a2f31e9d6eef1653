"""Whether this server does what one server does for all that use its store: deliver, clean, expire.

A server alone always does. Of several, one does: whoever has the store's lock. The others ask for it each
second. Who loses it stops at once, and at the latest before PostgreSQL gives it to another.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any, Protocol

from guardian.core.errors import Unavailable
from guardian.store.database import Database
from guardian.store.leadership import SILENT_S, Leadership
from guardian.telemetry.log import logger

_ASK_S = 1.0
_SURE_S = SILENT_S - 2.0
"""How long after it was last asked the lock is surely this server's: less than PostgreSQL keeps it."""
_LOOK_S = 0.5
_LOOK_ALONE_S = 30.0

Job = Callable[[], Coroutine[Any, Any, None]]
"""Runs until cancelled, and again when this server leads again."""


class Tenure(Protocol):
    """shared: other servers use the store at the same time. look_s: how soon what they wrote is noticed."""

    @property
    def shared(self) -> bool: ...
    @property
    def look_s(self) -> float: ...
    def leads(self) -> bool:
        """Whether this server does the jobs now. Does not wait."""
        ...

    async def run(self, *jobs: Job) -> None:
        """Does the jobs whenever this server leads, until cancelled."""
        ...


class Alone:
    """Of a server that has its store to itself."""

    shared = False
    look_s = _LOOK_ALONE_S

    def leads(self) -> bool:
        """It does."""
        return True

    async def run(self, *jobs: Job) -> None:
        """Does them."""
        async with asyncio.TaskGroup() as tasks:
            for job in jobs:
                tasks.create_task(job())


class Elected:
    """Of a server that shares its store."""

    shared = True
    look_s = _LOOK_S

    def __init__(self, lock: Leadership) -> None:
        self._lock = lock
        self._log = logger("guardian.tenure")
        # Its own: where all others wait for a disk, the lock would be lost.
        self._thread = ThreadPoolExecutor(1, "leadership")
        self._asking: Future[bool] | None = None
        self._asked_at = 0.0
        self._until = float("-inf")

    def leads(self) -> bool:
        """Until PostgreSQL may have given the lock to another."""
        return time.monotonic() < self._until

    async def run(self, *jobs: Job) -> None:
        """Does the jobs while the lock is this server's."""
        while True:
            if await self._ask():
                self._log.info("this server delivers the events of all servers of its store")
                await self._term(jobs)
                self._log.warning("this server delivers no events any more; another one will")
            await asyncio.sleep(_ASK_S)

    async def _term(self, jobs: tuple[Job, ...]) -> None:
        async with asyncio.TaskGroup() as term:
            tasks = [term.create_task(job()) for job in jobs]
            try:
                while self.leads():
                    await self._quiet()
                    await self._ask()
            finally:
                self._until = float("-inf")
                for task in tasks:
                    task.cancel()

    async def _ask(self) -> bool:
        """Asks for the lock, or whether it is still here; no longer than it surely is."""
        now = time.monotonic()
        if self._asking is None or self._asking.done():
            self._asked_at, self._asking = now, self._thread.submit(self._lock.hold)
        try:
            async with asyncio.timeout(self._until - now if self.leads() else _SURE_S):
                held = await asyncio.shield(asyncio.wrap_future(self._asking))
        except (Unavailable, TimeoutError):
            held = False
        self._until = self._asked_at + _SURE_S if held else float("-inf")
        return self.leads()

    async def _quiet(self) -> None:
        """A second, or until PostgreSQL says something without being asked: that the session has ended."""
        loop, socket, said = asyncio.get_running_loop(), self._lock.socket(), asyncio.Event()
        if socket is not None:
            loop.add_reader(socket, said.set)
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(_ASK_S):
                    await said.wait()
        finally:
            if socket is not None:
                loop.remove_reader(socket)

    def close(self) -> None:
        """Gives the lock back."""
        self._until = float("-inf")
        self._thread.shutdown(wait=False, cancel_futures=True)
        self._lock.release()


@contextmanager
def alone(database: Database) -> Iterator[Tenure]:
    """Has the store to itself while inside. Unavailable when somebody else has it."""
    with database.alone():
        yield Alone()


@contextmanager
def elected(database: Database) -> Iterator[Tenure]:
    """Shares the store with others while inside. PostgreSQL only."""
    tenure = Elected(database.leadership())
    try:
        yield tenure
    finally:
        tenure.close()

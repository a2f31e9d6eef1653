"""Call processes that are started ahead, so that a call neither waits for models nor delays others."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass

from guardian.core.errors import GuardianError
from guardian.fleet.process import Death, Process

_FIRST_S = 1.0
"""The server is there first."""
_CALM_S = 3.0
"""After a spare has become a call: its beginning is over before the next one is loaded."""


@dataclass(frozen=True, slots=True)
class Making:
    """How spares are made.

    begin: starts a process. warm: has it load everything; GuardianError. failed: one died unused.
    wait_s: seconds until another one may be begun.
    """

    begin: Callable[[], Process]
    warm: Callable[[Process], Awaitable[object]]
    failed: Callable[[], None]
    wait_s: Callable[[], float]


class Spares:
    """Keeps so many processes ready. They are loaded one after the other."""

    def __init__(self, wanted: int, making: Making) -> None:
        self._wanted = wanted
        self._making = making
        self._ready: list[Process] = []
        self._loading: Process | None = None
        self._changed = asyncio.Event()
        self._not_before = time.monotonic() + _FIRST_S

    @property
    def ready(self) -> int:
        """How many are loaded and wait."""
        return len(self._ready)

    def take(self) -> Process | None:
        """One that waits, for a call; None when there is none."""
        if not self._ready:
            return None
        process = self._ready.pop(0)
        self._not_before = time.monotonic() + _CALM_S
        self._changed.set()
        return process

    def gone(self, process: Process) -> None:
        """A process has ended; where it was a spare another one is begun, as soon as that may be."""
        if process in self._ready:
            self._ready.remove(process)
            self._making.failed()
            self._changed.set()

    async def run(self) -> None:
        """Keeps them ready until cancelled."""
        while True:
            self._changed.clear()
            wait_s = self._wait_s()
            if wait_s == 0.0:
                await self._load()
                continue
            with suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._changed.wait()

    def _wait_s(self) -> float | None:
        """Seconds until the next one may be loaded; None where there are enough."""
        if len(self._ready) >= self._wanted:
            return None
        return max(0.0, self._making.wait_s(), self._not_before - time.monotonic())

    async def _load(self) -> None:
        process = self._loading = self._making.begin()
        try:
            await self._making.warm(process)
        except GuardianError:
            process.kill(Death.START)
        finally:
            self._loading = None
        if process.death is None and not process.gone.is_set():
            process.begun = True
            self._ready.append(process)
        else:
            self._making.failed()

    def close(self) -> None:
        """Ends those that wait and the one that loads."""
        for process in (*self._ready, *([self._loading] if self._loading is not None else [])):
            process.leave()
        self._ready.clear()

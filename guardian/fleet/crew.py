"""The call processes of one server: which one takes a call, spares, and how often others are started."""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from math import ceil
from typing import Any

from guardian.core.config import CallLimits, WorkConfig
from guardian.core.errors import HostFull
from guardian.core.starts import Starts
from guardian.fleet.messages import Action
from guardian.fleet.process import Bounds, Death, Process
from guardian.fleet.spares import Making, Spares

logger = logging.getLogger(__name__)

_SPARE = "--spare"
_WARM_S = 120.0
"""A spare stands back, and may take long on a machine that has a lot to do."""
_LOOPING = "Call processes die as they start; see the server's log, or run guardian doctor."


def call_process_command() -> tuple[str, ...]:
    """The command that starts a call process; ` --link FD` is added, and for a spare ` --spare` before it."""
    return (sys.executable, "-m", "guardian.callmain")


class Crew:
    """Starts processes, and knows those there are.

    hear: is given what a process says. gone: is told that one has ended.
    """

    def __init__(
        self,
        work: WorkConfig,
        command: Sequence[str],
        hear: Callable[[Process, Mapping[str, Any]], None],
        gone: Callable[[Process], None],
    ) -> None:
        self.deaths: Counter[Death] = Counter(dict.fromkeys(Death, 0))
        """Processes that died before their time, by why."""
        self.rules = ""
        """What the next call is probably judged by: spares read it ahead."""
        self._work = work
        self._command = tuple(command)
        self._hear = hear
        self._gone = gone
        self._processes: list[Process] = []
        self._starts = Starts()
        making = Making(partial(self._begin, _SPARE), self._warm, self.failed, self._wait_s)
        self._spares = Spares(work.limits.spares, making)
        self._tasks: asyncio.TaskGroup | None = None
        self._keeping: asyncio.Task[None] | None = None

    def __iter__(self) -> Iterator[Process]:
        """Every process there is."""
        return iter(self._processes)

    @property
    def spares(self) -> int:
        """How many have loaded everything and wait."""
        return self._spares.ready

    @property
    def trouble(self) -> str | None:
        """Why calls cannot be opened, in a sentence; None when they can."""
        return _LOOPING if self._starts.looping else None

    def begin(self, tasks: asyncio.TaskGroup) -> None:
        """From now on processes are started; their tasks belong to `tasks`."""
        self._tasks = tasks
        self._keeping = tasks.create_task(self._spares.run(), name="spares")

    def close(self) -> None:
        """Takes no more calls; spares end."""
        self._spares.close()
        if self._keeping is not None:
            self._keeping.cancel()

    def place(self) -> Process:
        """A process for one more call: one with room, one that waits, or a new one. HostFull."""
        for process in self._processes:
            if process.calls and not process.leaving and len(process.calls) < self._limits.calls_per_process:
                return process
        spare = self._spares.take()
        if spare is not None:
            return spare
        wait_s = self._wait_s()
        if wait_s:
            raise HostFull(_LOOPING, ceil(wait_s))
        return self._begin()

    def worked(self, process: Process) -> None:
        """It has taken a call."""
        process.begun = True
        if self._starts.worked():
            logger.info("call processes start again")

    def failed(self) -> None:
        """A process died, or had to be killed, before it was of use."""
        if self._starts.failed(time.monotonic()):
            logger.error("call processes die as they start; they are started less often")

    @property
    def _limits(self) -> CallLimits:
        return self._work.limits

    def _wait_s(self) -> float:
        return self._starts.wait_s(time.monotonic())

    def _begin(self, *more: str) -> Process:
        assert self._tasks is not None, "a crew begins before its processes"
        limits = self._limits
        start_s = _WARM_S if more else limits.start_s
        process = Process(Bounds(start_s, limits.beat_lost_s, limits.lane_stuck_s, limits.process_mb))
        self._processes.append(process)
        self._tasks.create_task(self._attend(process, (*self._command, *more)), name="call-process")
        return process

    async def _warm(self, process: Process) -> None:
        # It meets nobody yet, and needs no credentials.
        work = replace(self._work, media=replace(self._work.media, turn=(), ice_servers=()))
        await process.ask(Action.WARM, _WARM_S, config=asdict(work), rules=self.rules)

    async def _attend(self, process: Process, command: Sequence[str]) -> None:
        """Runs a process and lives until it is gone; never raises."""
        try:
            await process.run(command, partial(self._hear, process))
        finally:
            self._processes.remove(process)
            self._spares.gone(process)
            if process.death is not None:
                self.deaths[process.death] += 1
            self._gone(process)

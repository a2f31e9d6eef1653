"""A call process as the server sees it: what it is asked, whether it lives, and why it is killed."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from guardian.core.errors import CallFailed
from guardian.fleet.messages import MAX_LINE, Action, Link, Note, raise_from
from guardian.fleet.signals import Handle

logger = logging.getLogger(__name__)

_ENVIRONMENT = {
    "MALLOC_ARENA_MAX": "2",
    "MALLOC_MMAP_THRESHOLD_": str(4 << 20),
    "MALLOC_TRIM_THRESHOLD_": str(16 << 20),
}
"""A dozen threads would each keep a memory arena of their own. What is larger than 4 MB goes back when it is
free: an encoder, which begins anew every few seconds, takes 7 MB at once, and a heap grows whenever it has no
such hole."""
_LOOK_S = 0.5
_OWN_PAUSE_S = 2.0
"""When a look comes this late, the server itself was stopped or busy, and has heard nobody."""
_BEATS_ABOVE = 3
"""Beats in a row with too much memory: what is freed at once is no leak."""
_DUMP_S = 0.3
_CRASH_S = 1.0
_LEAVE_S = 2.0
_GONE_S = 2.0


class Death(StrEnum):
    """Why a process died before its time; the labels of a metric."""

    CRASH = "crash"
    SILENT = "silent"
    STUCK = "stuck"
    MEMORY = "memory"
    START = "start"
    UNRULY = "unruly"
    UNWILLING = "unwilling"


_SENTENCES = {
    Death.CRASH: "a call process died",
    Death.SILENT: "a call process has stopped beating; it is killed",
    Death.STUCK: "a video lane is stuck; the call process is killed",
    Death.MEMORY: "a call process takes too much memory; it is killed",
    Death.START: "a call process does not start in time; it is killed",
    Death.UNRULY: "a call process talks nonsense; it is killed",
    Death.UNWILLING: "a call does not end when asked; its process is killed",
}


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a process may do: seconds to start, without a beat, in one picture; MB of memory, 0: any."""

    start_s: float
    silent_s: float
    stuck_s: float
    mb: float


Hear = Callable[[Mapping[str, Any]], None]


class Process:
    """One process of the operating system, with the calls it holds."""

    def __init__(self, bounds: Bounds) -> None:
        self.calls: set[str] = set()
        """Calls it holds, those that begin too."""
        self.figures: dict[str, Any] = {}
        """What it last said of its memory, threads, descriptors and event loop."""
        self.lanes: dict[str, float] = {}
        """Seconds each call's video lane had been in its picture at the last beat."""
        self.leaving = False
        """It takes no more calls."""
        self.begun = False
        """It has loaded what it needs, or taken a call: from then on it has to beat."""
        self.unwanted = False
        """It was told to end at once."""
        self.gone = asyncio.Event()
        self.death: Death | None = None
        """Why it died, where nobody wanted that."""
        self._bounds = bounds
        self._process: asyncio.subprocess.Process | None = None
        self._handle: Handle | None = None
        self._link: Link | None = None
        self._up = asyncio.Event()
        self._beat_at = time.monotonic()
        self._above = 0
        self._next_id = 0
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}

    # --- what it is asked ---------------------------------------------------------------------

    async def ask(self, action: Action, timeout_s: float, **fields: Any) -> dict[str, Any]:
        """The reply to a request, also of a process that is just being started.

        Raises what the process raised; CallFailed when it is gone or does not answer in time.
        """
        self._next_id += 1
        number = self._next_id
        reply = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(timeout_s):
                await self._up.wait()
                if self._link is None or self.gone.is_set():
                    raise CallFailed("The call is over.")
                self._waiting[number] = reply
                self._link.write({"id": number, "do": action, **fields})
                message = await reply
        except TimeoutError:
            raise CallFailed("The call process did not answer in time; create a new call.") from None
        finally:
            self._waiting.pop(number, None)
        raise_from(message)
        ok: dict[str, Any] = message.get("ok", {})
        return ok

    def tell(self, action: Action, **fields: Any) -> None:
        """A request whose reply nobody waits for."""
        if self._link is not None:
            self._link.write({"id": 0, "do": action, **fields})

    def leave(self) -> None:
        """It is not needed any more: it ends by itself, or by force soon."""
        self.leaving = True
        if self._link is not None:
            self._link.close()
        else:
            self.kill()

    def kill(self, why: Death | None = None) -> None:
        """Ends it at once; one being started ends as it starts. why: None where that is as it should be."""
        if why is not None and self.death is None and not self.gone.is_set():
            self.death = why
            logger.error(_SENTENCES[why], extra=self._told())
        self.unwanted = True
        self._end()

    def _end(self) -> None:
        if self._handle is not None:
            self._handle.send(signal.SIGKILL)

    def _told(self) -> dict[str, Any]:
        pid = self._process.pid if self._process is not None else None
        return {"pid": pid, "calls": len(self.calls), "figures": self.figures}

    # --- its life -----------------------------------------------------------------------------

    async def run(self, command: Sequence[str], hear: Hear) -> None:
        """Starts it and lives until it is gone. hear: is given its notes."""
        try:
            await self._spawn(command)
            async with asyncio.TaskGroup() as tasks:
                watch = tasks.create_task(self._watch())
                await self._listen(hear)
                watch.cancel()
            await self._ended()
        except Exception:
            # Whatever a process says or does costs its own calls and no other.
            logger.exception("a call process could not be run")
            self.kill(Death.START if self._link is None else Death.UNRULY)
        finally:
            self._end()
            await self._wait()
            if self._link is not None:
                self._link.close()
            self.gone.set()
            self._up.set()
            for waiting in self._waiting.values():
                if not waiting.done():
                    waiting.set_exception(CallFailed("The call process died; create a new call."))

    async def _spawn(self, command: Sequence[str]) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = await asyncio.create_subprocess_exec(
                *command,
                "--link",
                str(theirs.fileno()),
                pass_fds=[theirs.fileno()],
                stdin=asyncio.subprocess.DEVNULL,
                # Native libraries print to stdout; the server's own stays readable for machines.
                stdout=sys.stderr,
                start_new_session=True,
                env={**os.environ, **_ENVIRONMENT},
            )
            self._handle = Handle(self._process.pid)
            if self.unwanted:
                self._end()
        self._beat_at = time.monotonic()
        self._link = Link(*await asyncio.open_connection(sock=ours, limit=MAX_LINE))
        self._up.set()

    async def _listen(self, hear: Hear) -> None:
        assert self._link is not None
        while (message := await self._link.receive()) is not None:
            self._beat_at = time.monotonic()
            if "re" in message:
                waiting = self._waiting.get(message["re"])
                if waiting is not None and not waiting.done():
                    waiting.set_result(message)
                continue
            if message.get("note") == Note.BEAT:
                self._beat(message)
            hear(message)

    def _beat(self, message: Mapping[str, Any]) -> None:
        self.figures = dict(message["process"])
        self.lanes = {call: float(one["lanes"].get("video", 0.0)) for call, one in message["calls"].items()}
        above = 0 < self._bounds.mb < float(self.figures.get("mb", 0.0))
        self._above = self._above + 1 if above else 0

    async def _watch(self) -> None:
        """Kills it when it has stopped beating, is stuck or takes too much memory."""
        while True:
            before = time.monotonic()
            await asyncio.sleep(_LOOK_S)
            now = time.monotonic()
            if now - before > _LOOK_S + _OWN_PAUSE_S:
                self._beat_at = now
                continue
            why = self._wrong(now)
            if why is not None:
                await self._dump_and_kill(why)
                return

    def _wrong(self, now: float) -> Death | None:
        bounds = self._bounds
        if now - self._beat_at > (bounds.silent_s if self.begun else bounds.start_s):
            return Death.SILENT if self.begun else Death.START
        if max(self.lanes.values(), default=0.0) > bounds.stuck_s:
            return Death.STUCK
        return Death.MEMORY if self._above >= _BEATS_ABOVE else None

    async def _dump_and_kill(self, why: Death) -> None:
        """Lets the process write its stacks to the log, then kills it."""
        self.death = why
        logger.error(_SENTENCES[why], extra=self._told())
        if self._handle is not None:
            self._handle.send(signal.SIGUSR1)
            await asyncio.sleep(_DUMP_S)
        self._end()

    async def _ended(self) -> None:
        """The link is closed: it is ending, or it will not be understood any more."""
        assert self._process is not None
        with suppress(TimeoutError):
            async with asyncio.timeout(_LEAVE_S if self.leaving else _CRASH_S):
                code = await self._process.wait()
                if not self.leaving and not self.unwanted and self.death is None:
                    self.death = Death.CRASH
                    logger.error(_SENTENCES[Death.CRASH], extra={**self._told(), "exit": code})
                return
        if not self.leaving:
            self.kill(Death.UNRULY)

    async def _wait(self) -> None:
        """Until the killed process is gone, or will not go (one that waits for a dead disk)."""
        try:
            if self._process is not None:
                async with asyncio.timeout(_GONE_S):
                    await self._process.wait()
        except TimeoutError:
            logger.error("a killed call process does not go away", extra=self._told())
        finally:
            if self._handle is not None:
                self._handle.close()

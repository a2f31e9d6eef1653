"""Carries events from the outbox to the sinks: in order per call, one at a time, calls side by side."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from guardian.core.delivery import Due, Fate, Look, Outcome
from guardian.core.errors import StoreFault, Unavailable
from guardian.core.ports import Clock, Sink
from guardian.events.delivery import DeliveryFailed, Schedule

logger = logging.getLogger(__name__)

_SIDE_BY_SIDE = 8
_AHEAD = 64
_LOOK_S = 30.0
_DISK_S = 1.0
_BATCH = 256


class Outbox(Protocol):
    """Where events wait. Methods may take as long as a disk does; they raise Unavailable."""

    def look(self, sink: str, now: float, limit: int) -> Look: ...
    def record(self, outcomes: Sequence[Outcome]) -> None: ...


Told = Callable[[str, str], None]
"""Hears (sink, "delivered" | "failed" | "dead" | "disabled") for the metrics."""


@dataclass(frozen=True, slots=True)
class Pace:
    """now: wall clock seconds that do not jump. schedule: how long to wait after a failed try.

    look_s: how soon what nobody has told of is noticed. may: whether a try may be made now.
    """

    now: Clock
    schedule: Schedule = field(default_factory=Schedule)
    look_s: float = _LOOK_S
    may: Callable[[], bool] = lambda: True


_Ended = tuple[Outcome, asyncio.Future[bool]]
"""How a try went, and whether that could be written down."""


@dataclass(slots=True)
class _Round:
    """One sink's work. ready: heads of calls that were due; busy: events that are under way."""

    wake: asyncio.Event = field(default_factory=asyncio.Event)
    ready: deque[Due] = field(default_factory=deque)
    busy: set[str] = field(default_factory=set)


class Pump:
    """Runs until cancelled. A try that was cut off is made again after the next start."""

    def __init__(self, outbox: Outbox, sinks: Sequence[Sink], told: Told, pace: Pace) -> None:
        self._outbox = outbox
        self._sinks = tuple(sinks)
        self._told = told
        self._pace = pace
        self._rounds = {sink.name: _Round() for sink in sinks}
        self._ended: asyncio.Queue[_Ended] = asyncio.Queue(len(self._sinks) * _SIDE_BY_SIDE)

    def wake(self) -> None:
        """Something new lies in the outbox. Call on the event loop's thread."""
        for one in self._rounds.values():
            one.wake.set()

    @property
    def idle(self) -> bool:
        """True while nothing is under way."""
        return not any(one.busy or one.ready for one in self._rounds.values())

    async def run(self) -> None:
        """Delivers for ever."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._record(), name="pump-record")
            for sink in self._sinks:
                tasks.create_task(self._serve(sink), name=f"pump-{sink.name}")

    async def _serve(self, sink: Sink) -> None:
        work = self._rounds[sink.name]
        async with asyncio.TaskGroup() as tasks:
            while True:
                work.wake.clear()
                try:
                    wait = await self._look(sink, work)
                except Exception as error:  # noqa: BLE001  # one odd row must not end the server
                    wait = _DISK_S if _passes(error, "look for events") else _LOOK_S
                while work.ready and len(work.busy) < _SIDE_BY_SIDE and self._pace.may():
                    due = work.ready.popleft()
                    work.busy.add(due.event_id)
                    tasks.create_task(self._one(sink, due, work))
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(wait):
                        await work.wake.wait()

    async def _look(self, sink: Sink, work: _Round) -> float:
        """Fetches what is due, if nothing is left of the last time; seconds until the next look."""
        longest = self._pace.look_s
        if work.ready:
            return longest
        # One that ends while the store is read may still look due.
        before = frozenset(work.busy)
        now = self._pace.now()
        found = await asyncio.to_thread(self._outbox.look, sink.name, now, _AHEAD + _SIDE_BY_SIDE)
        work.ready.extend(one for one in found.due if one.event_id not in before)
        return longest if found.next_at is None else min(max(found.next_at - now, 0.01), longest)

    async def _one(self, sink: Sink, due: Due, work: _Round) -> None:
        try:
            outcome = await self._try(sink, due)
            if outcome.fate is Fate.GONE:
                work.ready.clear()
            written = asyncio.get_running_loop().create_future()
            await self._ended.put((outcome, written))
            if await written:
                self._told(sink.name, _TOLD[outcome.fate])
            else:
                # It is still due: without a wait it would be sent without end.
                await asyncio.sleep(_LOOK_S)
        finally:
            work.busy.discard(due.event_id)
            work.wake.set()

    async def _try(self, sink: Sink, due: Due) -> Outcome:
        try:
            async with asyncio.timeout(sink.timeout_s):
                await sink.deliver(due)
        except TimeoutError:
            return self._failed(sink, due, DeliveryFailed(f"{sink.name}: no answer in time"))
        except DeliveryFailed as failure:
            return self._failed(sink, due, failure)
        except Exception as error:  # noqa: BLE001  # one sink's fault must not end the others
            return self._failed(sink, due, DeliveryFailed(f"{sink.name}: {type(error).__name__}"))
        return Outcome(sink.name, due.event_id, due.call_id, Fate.DONE, self._pace.now())

    def _failed(self, sink: Sink, due: Due, failure: DeliveryFailed) -> Outcome:
        here = (sink.name, due.event_id, due.call_id)
        now, said = self._pace.now(), str(failure)
        if failure.gone is not None:
            return Outcome(*here, Fate.GONE, now, failure.gone)
        wait = self._pace.schedule.wait_before(due.attempts + 1, failure)
        if wait is None:
            return Outcome(*here, Fate.DEAD, now, said)
        return Outcome(*here, Fate.AGAIN, now, said, wait)

    async def _record(self) -> None:
        """Writes down how tries went, as many at once as have ended meanwhile.

        A full disk is waited out: else the tries would be made again.
        """
        while True:
            batch = [await self._ended.get()]
            while len(batch) < _BATCH and not self._ended.empty():
                batch.append(self._ended.get_nowait())
            await self._write(batch)

    async def _write(self, batch: Sequence[_Ended]) -> None:
        outcomes = [outcome for outcome, _ in batch]
        taken = False
        while not taken:
            try:
                await asyncio.to_thread(self._outbox.record, outcomes)
                taken = True
            except Exception as error:  # noqa: BLE001  # one odd row must not end the server
                if _passes(error, "write down how tries went"):
                    await asyncio.sleep(_DISK_S)
                    continue
                if len(batch) == 1:
                    break
                for one in batch:
                    await self._write([one])
                return
        for _, written in batch:
            if not written.done():
                written.set_result(taken)


def _passes(error: Exception, what: str) -> bool:
    """Whether it is the store's disk or network, which come back; anything else is told by its kind."""
    if isinstance(error, Unavailable) and not isinstance(error, StoreFault):
        return True
    logger.error("the pump could not %s: %s", what, type(error).__name__)
    return False


_TOLD = {
    Fate.DONE: "delivered",
    Fate.AGAIN: "failed",
    Fate.DEAD: "dead",
    Fate.GONE: "disabled",
}

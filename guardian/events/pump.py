"""Carries events from the outbox to the sinks: in order per call, one at a time, calls side by side."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from guardian.core.errors import Unavailable
from guardian.core.ports import Sink
from guardian.events.delivery import DeliveryFailed, wait_before

_SIDE_BY_SIDE = 8
_LOOK_S = 30.0
_DISK_S = 1.0


class Delivery(Protocol):
    """An event that is due at a sink."""

    @property
    def event_id(self) -> str: ...
    @property
    def body(self) -> bytes: ...
    @property
    def attempts(self) -> int: ...


class Outbox(Protocol):
    """Where events wait. Methods may take as long as a disk does."""

    def due(self, sink: str, now: float, limit: int) -> Sequence[Delivery]: ...
    def next_due(self, sink: str) -> float | None: ...
    def done(self, sink: str, event_id: str) -> None: ...
    def again(self, sink: str, event_id: str, at: float, error: str) -> None: ...
    def dead(self, sink: str, event_id: str, error: str) -> None: ...


Schedule = Callable[[int, DeliveryFailed], float | None]
Told = Callable[[str, str], None]
"""Hears (sink, "delivered" | "failed" | "dead") for the metrics."""


class Pump:
    """Runs until cancelled. A try that was cut off is made again after the next start."""

    def __init__(
        self, outbox: Outbox, sinks: Sequence[Sink], told: Told, schedule: Schedule = wait_before
    ) -> None:
        self._outbox = outbox
        self._sinks = tuple(sinks)
        self._told = told
        self._schedule = schedule
        self._wakes = {sink.name: asyncio.Event() for sink in sinks}

    def wake(self) -> None:
        """Something new lies in the outbox. Call on the event loop's thread."""
        for event in self._wakes.values():
            event.set()

    async def run(self) -> None:
        """Delivers for ever."""
        async with asyncio.TaskGroup() as tasks:
            for sink in self._sinks:
                tasks.create_task(self._serve(sink), name=f"pump-{sink.name}")

    async def _serve(self, sink: Sink) -> None:
        wake = self._wakes[sink.name]
        busy: set[str] = set()
        async with asyncio.TaskGroup() as tasks:
            while True:
                wake.clear()
                try:
                    for delivery in await self._free(sink, busy):
                        busy.add(delivery.event_id)
                        tasks.create_task(self._one(sink, delivery, busy))
                    wait = await self._until_next(sink)
                except Unavailable:
                    wait = 1.0
                with contextlib.suppress(TimeoutError):
                    # What is under way counts as due; its end wakes this loop.
                    async with asyncio.timeout(max(wait, 0.25) if busy else wait):
                        await wake.wait()

    async def _free(self, sink: Sink, busy: set[str]) -> list[Delivery]:
        """Heads of calls that are due and not under way, as many as there are hands."""
        # One that ends while the store is read may still look due.
        before = frozenset(busy)
        due = await asyncio.to_thread(self._outbox.due, sink.name, time.time(), 2 * _SIDE_BY_SIDE)
        return [d for d in due if d.event_id not in before][: _SIDE_BY_SIDE - len(busy)]

    async def _one(self, sink: Sink, delivery: Delivery, busy: set[str]) -> None:
        try:
            await self._try(sink, delivery)
        finally:
            busy.discard(delivery.event_id)
            self._wakes[sink.name].set()

    async def _until_next(self, sink: Sink) -> float:
        at = await asyncio.to_thread(self._outbox.next_due, sink.name)
        return _LOOK_S if at is None else min(max(at - time.time(), 0.01), _LOOK_S)

    async def _try(self, sink: Sink, delivery: Delivery) -> None:
        try:
            async with asyncio.timeout(sink.timeout_s):
                await sink.deliver(delivery.event_id, delivery.body)
        except TimeoutError:
            await self._failed(sink, delivery, DeliveryFailed(f"{sink.name}: no answer in time"))
        except DeliveryFailed as failure:
            await self._failed(sink, delivery, failure)
        except Exception as error:  # noqa: BLE001  # one sink's fault must not end the others
            await self._failed(sink, delivery, DeliveryFailed(f"{sink.name}: {type(error).__name__}"))
        else:
            await self._mark(lambda: self._outbox.done(sink.name, delivery.event_id))
            self._told(sink.name, "delivered")

    async def _failed(self, sink: Sink, delivery: Delivery, failure: DeliveryFailed) -> None:
        wait = self._schedule(delivery.attempts + 1, failure)
        if wait is None:
            await self._mark(lambda: self._outbox.dead(sink.name, delivery.event_id, str(failure)))
            self._told(sink.name, "dead")
            return
        at = time.time() + wait
        await self._mark(lambda: self._outbox.again(sink.name, delivery.event_id, at, str(failure)))
        self._told(sink.name, "failed")

    async def _mark(self, write: Callable[[], None]) -> None:
        """Writes down how a try went. A full disk is waited out: else the try would be made again."""
        while True:
            try:
                await asyncio.to_thread(write)
            except Unavailable:
                await asyncio.sleep(_DISK_S)
            else:
                return

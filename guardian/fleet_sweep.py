"""Tells that calls of nodes which died have failed, however many nodes see it and whoever dies meanwhile."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress

from guardian.core.call_records import CallRecord, CallState
from guardian.core.errors import Unavailable
from guardian.fleet.call_book import CallBook
from guardian.fleet.registry import Registry

_SWEEP_S = 30.0
_THEIRS_S = 10.0
"""How long it is left to whoever has changed a record to tell of it."""


class Sweep:
    """tell: tells of a failed call, unless it was told; waits for the store. token_s: of tokens of legs."""

    def __init__(
        self, registry: Registry, book: CallBook, tell: Callable[[CallRecord], None], token_s: float
    ) -> None:
        self._registry = registry
        self._book = book
        self._tell = tell
        self._token_s = token_s
        self._wake = asyncio.Event()
        self._seen: dict[tuple[str, int], float] = {}
        """Failures that others are to tell: when they were first seen, or infinity once they were told."""

    def poke(self) -> None:
        """Some node may have died."""
        self._wake.set()

    async def run(self) -> None:
        """Sweeps now and then, and whenever a node has died, until cancelled."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(_SWEEP_S):
                    await self._wake.wait()
            self._wake.clear()
            with suppress(Unavailable):
                await self._once()

    async def _once(self) -> None:
        if not self._registry.complete:
            return
        orphans = [one async for one in self._book.all() if self._orphan(one)]
        there = {_key(one) for one in orphans}
        self._seen = {key: at for key, at in self._seen.items() if key in there}
        for record in orphans:
            failed = await self._failed(record)
            if failed is not None:
                await asyncio.to_thread(self._tell, failed)
                self._seen[_key(failed)] = float("inf")

    async def _failed(self, record: CallRecord) -> CallRecord | None:
        """The record of a failure that is this node's to tell of."""
        if record.state is CallState.FAILED:
            # Whoever has changed it may have died before telling.
            seen = self._seen.setdefault(_key(record), time.monotonic())
            return record if time.monotonic() - seen >= _THEIRS_S else None
        # The entry of its node may be newer than what was seen of it.
        if not await self._registry.over(record.node, record.incarnation):
            return None
        won = await self._book.change(record.spec.call_id, self._fail)
        return won.record if won is not None else None

    def _orphan(self, record: CallRecord) -> bool:
        dead = not self._registry.may_live(record.node, record.incarnation)
        return dead and record.state is not CallState.ENDED

    def _fail(self, record: CallRecord) -> CallRecord | None:
        if record.state is not CallState.OPEN or not self._orphan(record):
            return None
        return record.failed(time.time(), self._token_s)


def _key(record: CallRecord) -> tuple[str, int]:
    return record.spec.call_id, record.epoch

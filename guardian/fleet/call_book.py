"""The records of a fleet's calls: read by any node, changed by comparing revisions."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass

from guardian.core.call_records import CallRecord
from guardian.core.errors import Unavailable
from guardian.fleet.broker import ANSWER_S, Broker, Changed, Entry
from guardian.fleet.wire import Garbled, record_from, record_to_bytes

_TRIES = 6


class Unreadable(Unavailable):
    """A record of another version."""


Change = Callable[[CallRecord], CallRecord | None]
"""The record as it should be, or None: it stays as it is."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A record, and the revision it has."""

    record: CallRecord
    revision: int


class CallBook:
    """Everything waits for the broker, `ANSWER_S` at most per look. Unavailable without it."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    async def get(self, call_id: str) -> Kept | None:
        """The record of a call. Unreadable."""
        entry = await self._broker.session.calls.get(_key(call_id))
        kept = _kept(entry)
        if kept is None and entry is not None and entry.value is not None:
            raise Unreadable("This call is kept in the way of another version of Guardian; ask another node.")
        return kept

    async def create(self, record: CallRecord) -> Kept:
        """Keeps the record of a new call. Changed when there is one with its id."""
        key, value = _key(record.spec.call_id), record_to_bytes(record)
        return await self._written(record, self._broker.session.calls.create(key, value))

    async def forget(self, kept: Kept) -> None:
        """A call that was never opened leaves no record."""
        await self._broker.session.calls.delete(_key(kept.record.spec.call_id), kept.revision)

    async def replace(self, kept: Kept, record: CallRecord) -> Kept:
        """Puts a record in place of that one. Changed when another has taken its place."""
        key, value = _key(record.spec.call_id), record_to_bytes(record)
        return await self._written(record, self._broker.session.calls.update(key, value, kept.revision))

    async def _written(self, record: CallRecord, writing: Awaitable[int]) -> Kept:
        try:
            return Kept(record, await writing)
        except Unavailable:
            # The answer was lost, what was written perhaps not: whoever has changed it has to know.
            after = await self.get(record.spec.call_id)
            if after is not None and after.record == record:
                return after
            raise

    async def change(self, call_id: str, change: Change) -> Kept | None:
        """The record as this has changed it; None when `change` leaves it as it is, or there is none."""
        for _ in range(_TRIES):
            kept = await self.get(call_id)
            wanted = change(kept.record) if kept is not None else None
            if kept is None or wanted is None or wanted == kept.record:
                return None
            try:
                return await self.replace(kept, wanted)
            except Changed:
                continue
        raise Unavailable("The record of the call is being changed by others; try again.")

    async def all(self) -> AsyncGenerator[CallRecord, None]:
        """All records there are now."""
        async with aclosing(self._broker.session.calls.watch(2 * ANSWER_S)) as entries:
            async for entry in entries:
                if entry is None:
                    return
                kept = _kept(entry)
                if kept is not None:
                    yield kept.record


def _kept(entry: Entry | None) -> Kept | None:
    if entry is None or entry.value is None:
        return None
    try:
        return Kept(record_from(entry.value), entry.revision)
    except Garbled:
        return None


def _key(call_id: str) -> str:
    """A call's id as a key: dots part the names of a subject, slashes are in no id."""
    return call_id.replace(".", "/")

"""The outbox: every event of every call, and how far each sink has come with it.

An event, its deliveries and whatever else belongs to it are written in one transaction; sequence numbers are
contiguous within a call. A delivery is due when it is the oldest pending one of its call and sink and its
time has come, so events reach a sink in order per call, also after a restart.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import sqlalchemy as sa

from guardian.core.delivery import About, Due, Fate, Life, Look, Outcome, Route
from guardian.core.errors import StoreFault
from guardian.store.cells import LAST_S, seconds, whole, words
from guardian.store.database import Database, insert_into
from guardian.store.heads import Head, add_heads, delay_head, disable, disabled, lock_heads, renew_head
from guardian.store.schema import DEAD, PENDING, deliveries, events, heads, sequences

Seal = Callable[[int], tuple[str, bytes]]
"""Builds (event id, body) once the sequence number is known. Called inside the transaction."""

_CALL_MEMORY_S = 400 * 86400.0
"""How long numbers of a call go on: its evidence may be told of long after it has ended."""
_AT_ONCE = 5000


@dataclass(frozen=True, slots=True)
class Kept:
    """An event as stored."""

    event_id: str
    call_id: str
    sequence: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Entry:
    """An event that is to be kept. at: wall clock seconds of its arrival here.

    also: writes what belongs to the event, in the same transaction; it may be called again when the disk
    refused. event_id: the id that `seal` gives, where it is known before; `Outbox.kept` finds it by that.
    """

    call_id: str
    at: float
    seal: Seal
    about: About = field(default_factory=About)
    also: Callable[[sa.Connection], object] | None = None
    event_id: str = ""


class Outbox:
    """Thread-safe; every method waits for the disk, so call them off the event loop.

    All methods raise Unavailable when the store cannot be read or written.
    """

    def __init__(self, database: Database, routes: Sequence[Route]) -> None:
        self._db = database
        self._routes = tuple(routes)

    def resume(self, now: float) -> None:
        """To be called at the start: waits that were begun later than `now`, as the clock has been set back,
        are over."""
        with self._db.writing() as db:
            db.execute(heads.update().where(heads.c.since > now).values(next_at=now, since=now))

    def append(self, entries: Sequence[Entry]) -> tuple[Kept, ...]:
        """Keeps events and queues each for every sink that takes it, all or none."""
        with self._db.writing() as db:
            numbers = _numbers(db, entries)
            kept: list[Kept] = []
            for entry in entries:
                sequence = next(numbers[entry.call_id])
                event_id, body = entry.seal(sequence)
                kept.append(Kept(event_id, entry.call_id, sequence, body))
            both = list(zip(entries, kept, strict=True))
            if both:
                db.execute(events.insert(), [_event(entry, one) for entry, one in both])
                self._queue(db, both)
            for entry in entries:
                if entry.also is not None:
                    entry.also(db)
        return tuple(kept)

    def kept(self, entries: Sequence[Entry]) -> tuple[Kept, ...] | None:
        """The events of entries that `append` has kept already, None when it has not.

        It keeps all or none, but its answer may be lost with the connection.
        """
        ids = [entry.event_id for entry in entries]
        with self._db.reading() as db:
            found = {one.event_id: one for one in map(_kept, db.execute(_KEPT.where(events.c.id.in_(ids))))}
        return tuple(found[one] for one in ids) if found.keys() >= set(ids) else None

    def _queue(self, db: sa.Connection, both: Sequence[tuple[Entry, Kept]]) -> None:
        wanted = [
            (route.sink, entry, one)
            for entry, one in both
            for route in self._routes
            if route.takes(entry.about)
        ]
        if not wanted:
            return
        first: dict[tuple[str, str], Head] = {}
        for sink, entry, one in wanted:
            first.setdefault((sink, one.call_id), Head(sink, one.call_id, one.sequence, entry.at))
        add_heads(db, [first[key] for key in sorted(first)])
        db.execute(deliveries.insert(), [_delivery(sink, one) for sink, _, one in wanted])

    def look(self, sink: str, now: float, limit: int) -> Look:
        """The oldest pending event of each call that may be tried at `now` (wall clock seconds)."""
        mine = (heads.c.sink == sink) & ~disabled(sink)
        due = _DUE.where(mine, heads.c.next_at <= now).order_by(heads.c.next_at).limit(limit)
        later = sa.select(sa.func.min(heads.c.next_at)).where(mine, heads.c.next_at > now)
        with self._db.reading() as db:
            next_at = db.execute(later).scalar_one()
            return Look(
                tuple(_due(row) for row in db.execute(due)),
                None if next_at is None else seconds(next_at, LAST_S),
            )

    def record(self, outcomes: Sequence[Outcome]) -> None:
        """Writes down how tries went, all or none."""
        with self._db.writing() as db:
            lock_heads(db, {(one.sink, one.call_id) for one in outcomes})
            for one in outcomes:
                _record(db, one)

    def pending(self) -> dict[tuple[str, str], int]:
        """(sink, state) -> count, of deliveries that are pending or dead."""
        found: dict[tuple[str, str], int] = {}
        with self._db.reading() as db:
            for state, name in ((PENDING, "pending"), (DEAD, "dead")):
                query = (
                    sa.select(deliveries.c.sink, sa.func.count())
                    .where(deliveries.c.state == state)
                    .group_by(deliveries.c.sink)
                )
                found |= {(words(sink), name): count for sink, count in db.execute(query)}
        return found

    def oldest(self) -> dict[str, float]:
        """Sink -> when the oldest event that it has not been given came in, wall clock seconds."""
        query = (
            sa.select(heads.c.sink, sa.func.min(events.c.at))
            .join(events, (events.c.call_id == heads.c.call_id) & (events.c.sequence == heads.c.sequence))
            .group_by(heads.c.sink)
        )
        with self._db.reading() as db:
            return {words(sink): seconds(at, LAST_S) for sink, at in db.execute(query)}

    def of_call(self, call_id: str, after: int, limit: int) -> tuple[Kept, ...]:
        """Events of a call with a sequence above `after`, in order."""
        query = (
            _KEPT.where(events.c.call_id == call_id, events.c.sequence > after)
            .order_by(events.c.sequence)
            .limit(limit)
        )
        with self._db.reading() as db:
            return tuple(_kept(row) for row in db.execute(query))

    def over(self, call_id: str) -> bool:
        """Whether the call has events, and the last that was told of it as a whole is that it is over."""
        query = sa.select(sequences.c.going_on).where(sequences.c.call_id == call_id)
        with self._db.reading() as db:
            return db.execute(query).scalar_one_or_none() is False

    def unfinished(self) -> tuple[Kept, ...]:
        """The last event of each call of which nobody has told that it is over."""
        query = _KEPT.join(
            sequences, (sequences.c.call_id == events.c.call_id) & (sequences.c.last == events.c.sequence)
        ).where(sequences.c.going_on)
        with self._db.reading() as db:
            return tuple(_kept(row) for row in db.execute(query))

    def forget(self, before: float) -> int:
        """Deletes events older than `before` that every sink has; returns how many."""
        owed = sa.exists().where(deliveries.c.event_id == events.c.id, deliveries.c.state != "done")
        old = sa.select(events.c.id).where(events.c.at < before, ~owed).limit(_AT_ONCE)
        with self._db.writing() as db:
            ids = [words(found) for found in db.execute(old).scalars()]
            db.execute(deliveries.delete().where(deliveries.c.event_id.in_(ids)))
            gone = db.execute(events.delete().where(events.c.id.in_(ids))).rowcount
            if not gone:
                silent = ~sa.exists().where(events.c.call_id == sequences.c.call_id)
                db.execute(sequences.delete().where(sequences.c.last_at < before - _CALL_MEMORY_S, silent))
        return gone


_DUE = (
    sa.select(
        events.c.id,
        events.c.call_id,
        events.c.sequence,
        events.c.type,
        events.c.body,
        deliveries.c.attempts,
    )
    .select_from(heads)
    .join(events, (events.c.call_id == heads.c.call_id) & (events.c.sequence == heads.c.sequence))
    .join(deliveries, (deliveries.c.sink == heads.c.sink) & (deliveries.c.event_id == events.c.id))
    # A head that somebody has written into would have the same event sent without end.
    .where(deliveries.c.state == PENDING)
)
_KEPT = sa.select(events.c.id, events.c.call_id, events.c.sequence, events.c.body)


def _due(row: Any) -> Due:
    return Due(
        event_id=words(row.id),
        call_id=words(row.call_id),
        sequence=whole(row.sequence, 0),
        type=words(row.type),
        body=_body(row),
        attempts=whole(row.attempts, 0),
    )


def _kept(row: Any) -> Kept:
    return Kept(words(row.id), words(row.call_id), whole(row.sequence, 0), _body(row))


def _body(row: Any) -> bytes:
    return row.body if isinstance(row.body, bytes) else words(row.body).encode()


def _numbers(db: sa.Connection, entries: Sequence[Entry]) -> dict[str, Iterator[int]]:
    """The next numbers of each call, as many as it has entries."""
    lives: dict[str, list[Life]] = defaultdict(list)
    for entry in entries:
        lives[entry.call_id].append(entry.about.life)
    at = max((entry.at for entry in entries), default=0.0)
    numbers: dict[str, Iterator[int]] = {}
    for call_id in sorted(lives):
        count, goes_on = len(lives[call_id]), _goes_on(lives[call_id])
        first = goes_on if goes_on is not None else Life.GOING in lives[call_id]
        row = {"call": call_id, "count": count, "at": at, "first": first, "goes_on": goes_on}
        last = int(db.execute(_numbering(db.dialect.name), row).scalar_one())
        numbers[call_id] = iter(range(last - count + 1, last + 1))
    return numbers


@cache
def _numbering(dialect: str) -> sa.Executable:
    """Draws `count` numbers of a call. Made once: writing a statement down costs more than running it."""
    goes_on = sa.bindparam("goes_on", type_=sa.Boolean)
    statement = insert_into(dialect, sequences).values(
        call_id=sa.bindparam("call"),
        last=sa.bindparam("count"),
        last_at=sa.bindparam("at"),
        going_on=sa.bindparam("first"),
    )
    return statement.on_conflict_do_update(
        index_elements=[sequences.c.call_id],
        set_={
            "last": sequences.c.last + sa.bindparam("count"),
            "last_at": sa.bindparam("at"),
            "going_on": sa.func.coalesce(goes_on, sequences.c.going_on),
        },
    ).returning(sequences.c.last)


def _goes_on(lives: Sequence[Life]) -> bool | None:
    """What these events say of whether their call goes on; None when they leave it as it was."""
    told = [life is Life.BEGUN for life in lives if life in (Life.BEGUN, Life.ENDED)]
    return told[-1] if told else None


def _event(entry: Entry, one: Kept) -> dict[str, Any]:
    return {
        "id": one.event_id,
        "call_id": one.call_id,
        "sequence": one.sequence,
        "body": one.body,
        "at": entry.at,
        "type": entry.about.type,
        "tenant": entry.about.tenant,
    }


def _delivery(sink: str, one: Kept) -> dict[str, Any]:
    return {
        "sink": sink,
        "event_id": one.event_id,
        "call_id": one.call_id,
        "sequence": one.sequence,
        "attempts": 0,
        "state": "pending",
    }


_HERE = (deliveries.c.sink == sa.bindparam("at_sink")) & (deliveries.c.event_id == sa.bindparam("event"))
_FAILED = {"last_error": sa.bindparam("error"), "attempts": deliveries.c.attempts + 1}
# Two servers may have tried it, one after the other: what was taken once is done.
_DEAD = sa.case((deliveries.c.state == "done", "done"), else_="dead")
_MARKS = {
    Fate.DONE: deliveries.update().where(_HERE).values(state="done", last_error=None),
    Fate.DEAD: deliveries.update().where(_HERE).values(state=_DEAD, died_at=sa.bindparam("at"), **_FAILED),
    Fate.AGAIN: deliveries.update().where(_HERE).values(**_FAILED),
    Fate.GONE: deliveries.update().where(_HERE).values(last_error=sa.bindparam("error")),
}


def _record(db: sa.Connection, one: Outcome) -> None:
    row: dict[str, Any] = {"at_sink": one.sink, "event": one.event_id}
    if one.fate is not Fate.DONE:
        row["error"] = one.error
    if one.fate is Fate.DEAD:
        row["at"] = one.at
    if db.execute(_MARKS[one.fate], row).rowcount == 0:
        raise StoreFault("The store has no such delivery.")
    head = Head(one.sink, one.call_id, 0, one.at)
    match one.fate:
        case Fate.DONE | Fate.DEAD:
            renew_head(db, head)
        case Fate.AGAIN:
            delay_head(db, head, one.wait)
        case Fate.GONE:
            disable(db, one.sink, one.at, one.error)

"""The outbox: every event of every call, and how far each sink has come with it.

One SQLite file. An event and its deliveries are written in one transaction; sequence numbers are
contiguous within a call. A delivery is due when it is the oldest pending one of its call and sink and its
time has come, so events reach a sink in order per call, also after a restart.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert

from guardian.core.errors import Unavailable
from guardian.store.schema import SCHEMA_VERSION, deliveries, events, metadata, sequences

Seal = Callable[[int], tuple[str, bytes]]
"""Builds (event id, body) once the sequence number is known. Called inside the transaction."""


@dataclass(frozen=True, slots=True)
class Entry:
    """An event that is to be kept. at: wall clock seconds of its arrival here."""

    call_id: str
    at: float
    seal: Seal


@dataclass(frozen=True, slots=True)
class Kept:
    """An event as stored."""

    event_id: str
    call_id: str
    sequence: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Due:
    """An event a sink is to take now; attempts: tries made before."""

    event_id: str
    call_id: str
    sequence: int
    body: bytes
    attempts: int


class Outbox:
    """Thread-safe; every method waits for the disk, so call them off the event loop.

    All methods raise Unavailable when the store cannot be read or written.
    """

    def __init__(self, path: Path, sinks: Sequence[str]) -> None:
        self._sinks = tuple(sinks)
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            path.touch(mode=0o600)
        except OSError as error:
            raise Unavailable(f"The store {path} cannot be written; check the folder `data_dir`.") from error
        # One writes at a time; with two connections somebody can read meanwhile, and more would only be kept.
        self._engine = sa.create_engine(
            f"sqlite:///{path}", connect_args={"timeout": 10.0}, pool_size=2, max_overflow=0
        )
        sa.event.listen(self._engine, "connect", _pragmas)
        try:
            with self._engine.begin() as db:
                version = db.execute(sa.text("PRAGMA user_version")).scalar_one()
                if version > SCHEMA_VERSION:
                    raise Unavailable(f"The store {path} is of a newer Guardian; use that version.")
                metadata.create_all(db)
                db.execute(sa.text(f"PRAGMA user_version = {SCHEMA_VERSION}"))
        except sa.exc.SQLAlchemyError as error:
            raise Unavailable(f"The store {path} cannot be opened; move it away or mend it.") from error

    def close(self) -> None:
        """Gives the file back."""
        self._engine.dispose()

    def append(self, entries: Sequence[Entry]) -> tuple[Kept, ...]:
        """Keeps events and queues each for every sink, all or none."""
        kept: list[Kept] = []
        try:
            with self._engine.begin() as db:
                # Takes the write lock before reading, so that two writers never get one number.
                db.execute(sa.text("BEGIN IMMEDIATE"))
                for entry in entries:
                    sequence = _next(db, entry.call_id)
                    event_id, body = entry.seal(sequence)
                    item = Kept(event_id, entry.call_id, sequence, body)
                    kept.append(item)
                    db.execute(
                        events.insert().values(
                            id=event_id, call_id=entry.call_id, sequence=sequence, body=body, at=entry.at
                        )
                    )
                    for sink in self._sinks:
                        db.execute(
                            deliveries.insert().values(
                                sink=sink,
                                event_id=event_id,
                                call_id=entry.call_id,
                                sequence=sequence,
                                attempts=0,
                                next_at=entry.at,
                                state="pending",
                            )
                        )
        except sa.exc.SQLAlchemyError as error:
            raise Unavailable("The event store cannot be written; free some space on its disk.") from error
        return tuple(kept)

    def due(self, sink: str, now: float, limit: int) -> tuple[Due, ...]:
        """The oldest pending event of each call that may be tried at `now` (wall clock seconds)."""
        heads = _heads(sink).subquery()
        query = (
            sa.select(events.c.id, events.c.call_id, events.c.sequence, events.c.body, deliveries.c.attempts)
            .join(deliveries, deliveries.c.event_id == events.c.id)
            .join(
                heads,
                (heads.c.call_id == deliveries.c.call_id) & (heads.c.sequence == deliveries.c.sequence),
            )
            .where(deliveries.c.sink == sink, deliveries.c.next_at <= now)
            .order_by(deliveries.c.next_at)
            .limit(limit)
        )
        with self._reading() as db:
            return tuple(Due(*row) for row in db.execute(query))

    def next_due(self, sink: str) -> float | None:
        """When the next delivery of a sink comes due, wall clock seconds; None when none is pending."""
        heads = _heads(sink).subquery()
        query = (
            sa.select(sa.func.min(deliveries.c.next_at))
            .join(
                heads,
                (heads.c.call_id == deliveries.c.call_id) & (heads.c.sequence == deliveries.c.sequence),
            )
            .where(deliveries.c.sink == sink)
        )
        with self._reading() as db:
            value = db.execute(query).scalar_one()
            return None if value is None else float(value)

    def done(self, sink: str, event_id: str) -> None:
        """The sink has the event."""
        self._mark(sink, event_id, state="done", last_error=None)

    def again(self, sink: str, event_id: str, at: float, error: str) -> None:
        """The try failed; the next one is due at `at`."""
        self._mark(sink, event_id, next_at=at, last_error=error, attempts=deliveries.c.attempts + 1)

    def dead(self, sink: str, event_id: str, error: str) -> None:
        """No more tries; the event stays in the dead-letter list."""
        self._mark(sink, event_id, state="dead", last_error=error, attempts=deliveries.c.attempts + 1)

    def pending(self) -> dict[tuple[str, str], int]:
        """(sink, state) -> count, of deliveries that are pending or dead."""
        query = (
            sa.select(deliveries.c.sink, deliveries.c.state, sa.func.count())
            .where(deliveries.c.state != "done")
            .group_by(deliveries.c.sink, deliveries.c.state)
        )
        with self._reading() as db:
            return {(sink, state): count for sink, state, count in db.execute(query)}

    def of_call(self, call_id: str, after: int, limit: int) -> tuple[Kept, ...]:
        """Events of a call with a sequence above `after`, in order."""
        query = (
            sa.select(events.c.id, events.c.call_id, events.c.sequence, events.c.body)
            .where(events.c.call_id == call_id, events.c.sequence > after)
            .order_by(events.c.sequence)
            .limit(limit)
        )
        with self._reading() as db:
            return tuple(Kept(*row) for row in db.execute(query))

    def latest(self, within_s: float) -> tuple[Kept, ...]:
        """The last event of each call that had one in the `within_s` seconds before the newest of all."""
        newest = sa.select(sa.func.max(events.c.at)).scalar_subquery()
        heads = (
            sa.select(events.c.call_id, sa.func.max(events.c.sequence).label("sequence"))
            .where(events.c.at >= newest - within_s)
            .group_by(events.c.call_id)
            .subquery()
        )
        query = sa.select(events.c.id, events.c.call_id, events.c.sequence, events.c.body).join(
            heads, (heads.c.call_id == events.c.call_id) & (heads.c.sequence == events.c.sequence)
        )
        with self._reading() as db:
            return tuple(Kept(*row) for row in db.execute(query))

    def forget(self, before: float) -> int:
        """Deletes events older than `before` that every sink has; returns how many."""
        owed = sa.select(deliveries.c.event_id).where(deliveries.c.state != "done")
        old = sa.select(events.c.id).where(events.c.at < before, events.c.id.not_in(owed))
        with self._reading() as db:
            ids = [row[0] for row in db.execute(old.limit(5000))]
            db.execute(deliveries.delete().where(deliveries.c.event_id.in_(ids)))
            db.execute(events.delete().where(events.c.id.in_(ids)))
        return len(ids)

    def _mark(self, sink: str, event_id: str, **values: object) -> None:
        with self._reading() as db:
            db.execute(
                deliveries.update()
                .where(deliveries.c.sink == sink, deliveries.c.event_id == event_id)
                .values(**values)
            )

    def _reading(self) -> _Guarded:
        return _Guarded(self._engine)


class _Guarded:
    """A transaction whose failure has a sentence."""

    def __init__(self, engine: sa.Engine) -> None:
        self._begin = engine.begin()

    def __enter__(self) -> sa.Connection:
        try:
            return self._begin.__enter__()
        except sa.exc.SQLAlchemyError as error:
            raise Unavailable("The event store cannot be opened; check its disk.") from error

    def __exit__(self, *exc: object) -> None:
        try:
            self._begin.__exit__(*exc)  # type: ignore[arg-type]  # the three of the protocol
        except sa.exc.SQLAlchemyError as error:
            raise Unavailable("The event store cannot be used; check its disk.") from error
        if isinstance(exc[1], sa.exc.SQLAlchemyError):
            raise Unavailable("The event store cannot be used; check its disk.") from exc[1]


def _heads(sink: str) -> sa.Select[tuple[str, int]]:
    return (
        sa.select(deliveries.c.call_id, sa.func.min(deliveries.c.sequence).label("sequence"))
        .where(deliveries.c.sink == sink, deliveries.c.state == "pending")
        .group_by(deliveries.c.call_id)
    )


def _next(db: sa.Connection, call_id: str) -> int:
    statement = insert(sequences).values(call_id=call_id, last=1)
    statement = statement.on_conflict_do_update(
        index_elements=[sequences.c.call_id], set_={"last": sequences.c.last + 1}
    )
    return int(db.execute(statement.returning(sequences.c.last)).scalar_one())


def _pragmas(connection: sqlite3.Connection, _: object) -> None:
    connection.execute("PRAGMA journal_mode = WAL")
    # FULL: what was accepted survives a power cut, at one sync per commit.
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")

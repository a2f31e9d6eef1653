"""Events that were not taken in all their tries, and endpoints that want no more: listed, revived, ended."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from guardian.core.delivery import DeadFilter, DeadLetter, EndpointState, Route
from guardian.store.cells import seconds, whole, words
from guardian.store.database import Database
from guardian.store.heads import Head, lock_heads, renew_head
from guardian.store.schema import DEAD, PENDING, deliveries, endpoints, events

_AT_ONCE = 500
"""So that nobody who raises an event waits long for the write lock."""


class DeadLetters:
    """Thread-safe; every method waits for the disk and raises Unavailable when the store refuses."""

    def __init__(self, database: Database, routes: Sequence[Route]) -> None:
        self._db = database
        self._routes = {route.sink: route for route in routes}

    def found(self, which: DeadFilter, limit: int, offset: int = 0) -> tuple[DeadLetter, ...]:
        """Those that died first come first."""
        query = (
            sa.select(
                deliveries.c.sink,
                events.c.id,
                events.c.call_id,
                events.c.sequence,
                events.c.type,
                events.c.at,
                deliveries.c.died_at,
                deliveries.c.attempts,
                deliveries.c.last_error,
            )
            .join(events, events.c.id == deliveries.c.event_id)
            .where(*_chosen(which))
            .order_by(deliveries.c.died_at, deliveries.c.sink, events.c.id)
            .limit(limit)
            .offset(offset)
        )
        with self._db.reading() as db:
            return tuple(_letter(row) for row in db.execute(query))

    def count(self, which: DeadFilter) -> int:
        """How many there are."""
        return self._count(_chosen(which))

    def body(self, which: DeadFilter) -> bytes | None:
        """The event as it is sent, of the first that is found; None when there is none."""
        query = (
            sa.select(events.c.body)
            .join(deliveries, events.c.id == deliveries.c.event_id)
            .where(*_chosen(which))
            .limit(1)
        )
        with self._db.reading() as db:
            return db.execute(query).scalar_one_or_none()

    def replay(self, which: DeadFilter, now: float) -> int:
        """Makes those that are dead pending anew, due at `now`, with all their tries; returns how many.

        Those of endpoints that are not configured stay.
        """
        mine = [*_chosen(which), deliveries.c.sink.in_(self._routes)]
        # Counted, not told by the clock, which may have been set back: those that die meanwhile stay dead.
        left = self._count(mine)
        revived = 0
        query = (
            sa.select(deliveries.c.sink, deliveries.c.event_id, deliveries.c.call_id)
            .join(events, events.c.id == deliveries.c.event_id)
            .where(*mine)
            .order_by(deliveries.c.died_at)
        )
        while revived < left:
            with self._db.writing() as db:
                rows = db.execute(query.limit(min(_AT_ONCE, left - revived))).all()
                keys = sorted({(row.sink, row.call_id) for row in rows})
                lock_heads(db, keys)
                for row in rows:
                    db.execute(
                        deliveries.update()
                        .where(deliveries.c.sink == row.sink, deliveries.c.event_id == row.event_id)
                        .values(state="pending", attempts=0, died_at=None)
                    )
                for sink, call_id in keys:
                    renew_head(db, Head(sink, call_id, 0, now))
            revived += len(rows)
            if not rows:
                break
        return revived

    def discard(self, which: DeadFilter, most: int | None = None) -> int:
        """Gives up those that are dead, the longest dead first, and of endpoints that are not configured too.

        most: how many at most, as somebody has seen them. Returns how many.
        """
        # Those that die meanwhile stay: nobody has seen them.
        left = self.count(which) if most is None else most
        gone = 0
        query = (
            sa.select(deliveries.c.sink, deliveries.c.event_id, deliveries.c.state)
            .join(events, events.c.id == deliveries.c.event_id)
            .where(*_chosen(which))
            .order_by(deliveries.c.died_at, deliveries.c.sink, events.c.id)
        )
        while gone < left:
            with self._db.writing() as db:
                rows = db.execute(query.limit(min(_AT_ONCE, left - gone))).all()
                removed = sum(_remove(db, row) for row in rows)
            gone += removed
            if not removed:
                break
        return gone

    def end(self, before: float, now: float) -> int:
        """Gives up what nobody will be told any more; returns how many deliveries that are.

        That is what died before `before` (wall clock seconds), and what is older and waits for an endpoint
        that is not configured, or that has been disabled since.
        """
        long_disabled = sa.select(endpoints.c.sink).where(endpoints.c.disabled_at < before)
        nobody = deliveries.c.sink.not_in(self._routes) | deliveries.c.sink.in_(long_disabled)
        dead = (deliveries.c.state == DEAD) & (sa.func.coalesce(deliveries.c.died_at, events.c.at) < before)
        waits = (deliveries.c.state == PENDING) & (events.c.at < before) & nobody
        columns = (deliveries.c.sink, deliveries.c.event_id, deliveries.c.call_id, deliveries.c.state)
        query = (
            sa.select(*columns)
            .join(events, events.c.id == deliveries.c.event_id)
            .where(dead | waits)
            .limit(_AT_ONCE)
        )
        with self._db.writing() as db:
            rows = db.execute(query).all()
            # Those whose oldest one goes; a dead letter is nobody's.
            keys = sorted({(row.sink, row.call_id) for row in rows if row.state == "pending"})
            lock_heads(db, keys)
            gone = sum(_remove(db, row) for row in rows)
            for sink, call_id in keys:
                renew_head(db, Head(sink, call_id, 0, now))
        return gone

    def endpoints(self, tenant: str | None = None) -> tuple[EndpointState, ...]:
        """Those that are configured, and those for which something still waits; of a tenant: its own and
        what is counted for it."""
        counts: dict[object, Counter[str]] = {}
        with self._db.reading() as db:
            for state in (PENDING, DEAD):
                query = sa.select(deliveries.c.sink, sa.func.count()).where(deliveries.c.state == state)
                if tenant is not None:
                    query = query.join(events, events.c.id == deliveries.c.event_id)
                    query = query.where(events.c.tenant == tenant)
                found = db.execute(query.group_by(deliveries.c.sink))
                counts[state] = Counter({words(sink): count for sink, count in found})
            disabled: dict[str, tuple[float | None, str]] = {
                row.sink: (seconds(row.disabled_at, 0.0), words(row.reason))
                for row in db.execute(sa.select(endpoints).where(endpoints.c.disabled_at.is_not(None)))
            }
        names = [name for name, route in self._routes.items() if self._may(route, tenant)]
        names += sorted((counts[PENDING] | counts[DEAD]).keys() - self._routes.keys())
        return tuple(
            EndpointState(
                name,
                counts[PENDING][name],
                counts[DEAD][name],
                *disabled.get(name, (None, "")),
                configured=name in self._routes,
            )
            for name in names
        )

    def enable(self, name: str, tenant: str | None = None) -> bool:
        """Tells an endpoint what waits for it, at once; False when there is none of this name."""
        route = self._routes.get(name)
        if route is None or not self._may(route, tenant):
            return False
        with self._db.writing() as db:
            db.execute(endpoints.delete().where(endpoints.c.sink == name))
        return True

    def _count(self, which: Sequence[sa.ColumnElement[bool]]) -> int:
        query = (
            sa.select(sa.func.count())
            .select_from(deliveries)
            .join(events, events.c.id == deliveries.c.event_id)
            .where(*which)
        )
        with self._db.reading() as db:
            return int(db.execute(query).scalar_one())

    @staticmethod
    def _may(route: Route, tenant: str | None) -> bool:
        return tenant is None or not route.tenants or tenant in route.tenants


def _remove(db: sa.Connection, row: Any) -> int:
    """Takes one delivery away, unless it is in another state meanwhile; how many that were."""
    one = (deliveries.c.sink == row.sink) & (deliveries.c.event_id == row.event_id)
    return db.execute(deliveries.delete().where(one, deliveries.c.state == row.state)).rowcount


def _letter(row: Any) -> DeadLetter:
    return DeadLetter(
        endpoint=words(row.sink),
        event_id=words(row.id),
        call_id=words(row.call_id),
        sequence=whole(row.sequence, 0),
        type=words(row.type),
        at=seconds(row.at, 0.0),
        died_at=seconds(row.died_at, 0.0),
        attempts=whole(row.attempts, 0),
        error=words(row.last_error),
    )


def _chosen(which: DeadFilter) -> list[sa.ColumnElement[bool]]:
    chosen: list[sa.ColumnElement[bool]] = [deliveries.c.state == DEAD]
    for column, value in (
        (events.c.tenant, which.tenant),
        (deliveries.c.sink, which.endpoint),
        (events.c.type, which.type),
        (events.c.call_id, which.call_id),
    ):
        if value is not None:
            chosen.append(column == value)
    if which.event_ids:
        chosen.append(events.c.id.in_(which.event_ids))
    if which.since is not None:
        chosen.append(events.c.at >= which.since)
    if which.until is not None:
        chosen.append(events.c.at <= which.until)
    return chosen

"""Events that name a participant: found for an export, and forgotten once nobody is owed them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

import sqlalchemy as sa

from guardian.store.cells import words
from guardian.store.database import Database
from guardian.store.schema import deliveries, events, sequences

_PAGE = 500


@dataclass(frozen=True, slots=True)
class Named:
    """Somebody, as the platform of a tenant refers to them."""

    tenant: str
    participant: str

    @property
    def needles(self) -> frozenset[bytes]:
        """The reference as it stands in a body, quoted or not after a role."""
        written = {json.dumps(self.participant, ensure_ascii=ascii_only) for ascii_only in (True, False)}
        return frozenset(text[1:-1].encode() for text in written)

    def in_(self, body: bytes) -> bool:
        """Whether an event is about them, or tells what they said or showed; so is what cannot be read."""
        try:
            event = json.loads(body)
            actor = event.get("data", {}).get("actor") or {}
            return (
                event.get("subject", "").partition("/")[2] == self.participant
                or actor.get("participant_id") == self.participant
            )
        except (ValueError, AttributeError, RecursionError):
            return True  # Their name stands in it.


class NamedEvents:
    """Thread-safe; waits for the disk. Unavailable."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def of(self, who: Named) -> Iterator[bytes]:
        """Bodies of the events that name them, the oldest first."""
        for _, body in self._found(who):
            yield body

    def forget(self, who: Named) -> tuple[int, int]:
        """Deletes those that everybody has and whose call is over; returns how many, and how many stay.

        What stays is owed to a receiver, or is a dead letter; it is deleted once it is delivered or given up.
        """
        ids = [event_id for event_id, _ in self._found(who)]
        gone = 0
        for at in range(0, len(ids), _PAGE):
            page = ids[at : at + _PAGE]
            owed = sa.exists().where(deliveries.c.event_id == events.c.id, deliveries.c.state != "done")
            live = sa.exists().where(sequences.c.call_id == events.c.call_id, sequences.c.going_on)
            query = sa.select(events.c.id).where(events.c.id.in_(page), ~owed, ~live)
            with self._database.writing() as db:
                over = list(db.execute(query).scalars())
                db.execute(deliveries.delete().where(deliveries.c.event_id.in_(over)))
                db.execute(events.delete().where(events.c.id.in_(over)))
            gone += len(over)
        return gone, len(ids) - gone

    def _found(self, who: Named) -> Iterator[tuple[str, bytes]]:
        after = ""
        while True:
            with self._database.reading() as db:
                named = sa.or_(*(_holds(db, needle) for needle in who.needles))
                query = (
                    sa.select(events.c.id, events.c.body)
                    .where(events.c.id > after, events.c.tenant == who.tenant, named)
                    .order_by(events.c.id)
                    .limit(_PAGE)
                )
                page = [(words(row.id), bytes(row.body)) for row in db.execute(query)]
            yield from (one for one in page if who.in_(one[1]))
            if len(page) < _PAGE or page[-1][0] <= after:
                return
            after = page[-1][0]


def _holds(db: sa.Connection, needle: bytes) -> sa.ColumnElement[bool]:
    wanted = sa.literal(needle, sa.LargeBinary)
    if db.dialect.name == "postgresql":
        return sa.func.position(wanted.op("IN")(events.c.body)) > 0
    return sa.func.instr(events.c.body, wanted) > 0

"""Heads: the oldest pending event of each call at each sink, in the same transaction as its deliveries."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache

import sqlalchemy as sa

from guardian.store.database import insert_into
from guardian.store.schema import PENDING, deliveries, endpoints, heads


@dataclass(frozen=True, slots=True)
class Head:
    """A head; sequence is looked up where it is not known. at: when it came there, wall clock seconds."""

    sink: str
    call_id: str
    sequence: int
    at: float


def add_heads(db: sa.Connection, new: Sequence[Head]) -> None:
    """Heads of calls that have none; of the others nothing changes.

    Those that are there are locked as well, so that whoever renews one meanwhile waits and sees what is
    added after this.
    """
    db.execute(_adding(db.dialect.name), [_row(head) for head in new])


def lock_heads(db: sa.Connection, keys: Iterable[tuple[str, str]]) -> None:
    """Makes others that change these heads, by (sink, call), wait. SQLite has one writer anyway."""
    if db.dialect.name == "sqlite":
        return
    for sink, call_id in sorted(keys):
        db.execute(_LOCK, {"at_sink": sink, "call": call_id})


def renew_head(db: sa.Connection, head: Head) -> None:
    """Looks the head up anew: the oldest pending delivery, due at once, or none."""
    here = {"at_sink": head.sink, "call": head.call_id}
    oldest = db.execute(_OLDEST, here).scalar_one()
    if oldest is None:
        db.execute(_REMOVE, here)
    else:
        db.execute(_renewing(db.dialect.name), _row(Head(head.sink, head.call_id, oldest, head.at)))


def delay_head(db: sa.Connection, head: Head, wait: float) -> None:
    """The head is tried again after `wait` seconds."""
    row = {"at_sink": head.sink, "call": head.call_id, "next": head.at + wait, "now": head.at}
    db.execute(_DELAY, row)


def disabled(sink: str) -> sa.Exists:
    """Whether a sink is told nothing until it is enabled."""
    return sa.exists().where(endpoints.c.sink == sink, endpoints.c.disabled_at.is_not(None))


def disable(db: sa.Connection, sink: str, at: float, reason: str) -> None:
    """The sink is told nothing more, from `at` (wall clock seconds) on."""
    statement = insert_into(db.dialect.name, endpoints).values(sink=sink, disabled_at=at, reason=reason)
    db.execute(
        statement.on_conflict_do_update(
            index_elements=[endpoints.c.sink], set_={"disabled_at": at, "reason": reason}
        )
    )


# Written down once: that costs more than running them.
_HERE = sa.and_(heads.c.sink == sa.bindparam("at_sink"), heads.c.call_id == sa.bindparam("call"))
_LOCK = sa.select(heads.c.sequence).where(_HERE).with_for_update()
_REMOVE = heads.delete().where(_HERE)
_DELAY = heads.update().where(_HERE).values(next_at=sa.bindparam("next"), since=sa.bindparam("now"))
_OLDEST = sa.select(sa.func.min(deliveries.c.sequence)).where(
    deliveries.c.sink == sa.bindparam("at_sink"),
    deliveries.c.call_id == sa.bindparam("call"),
    deliveries.c.state == PENDING,
)


@cache
def _adding(dialect: str) -> sa.Executable:
    return insert_into(dialect, heads).on_conflict_do_update(
        index_elements=[heads.c.sink, heads.c.call_id], set_={"sequence": heads.c.sequence}
    )


@cache
def _renewing(dialect: str) -> sa.Executable:
    statement = insert_into(dialect, heads)
    return statement.on_conflict_do_update(
        index_elements=[heads.c.sink, heads.c.call_id],
        set_={name: statement.excluded[name] for name in ("sequence", "next_at", "since")},
    )


def _row(head: Head) -> dict[str, object]:
    return {
        "sink": head.sink,
        "call_id": head.call_id,
        "sequence": head.sequence,
        "next_at": head.at,
        "since": head.at,
    }

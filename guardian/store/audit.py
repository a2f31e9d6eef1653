"""The chain in the store: written with what it tells of, in one transaction."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa

from guardian.core.audit import GENESIS, Entry, Link, link
from guardian.store.cells import whole, words
from guardian.store.database import Database
from guardian.store.evidence_tables import audit

_PAGE = 1000
_MOST = 1 << 53
"""What is above is no number of a link: on SQLite text is, too."""


def hold(db: sa.Connection) -> None:
    """Nobody else adds links until the transaction ends.

    Whoever changes rows that others change together with the chain holds it first: two that take one after
    the other in different order would wait for each other.
    """
    if db.dialect.name == "postgresql":
        # On SQLite a transaction that writes is alone already.
        db.execute(sa.text("LOCK TABLE audit IN SHARE ROW EXCLUSIVE MODE"))


def append(db: sa.Connection, entry: Entry) -> Link:
    """Adds a link at the end. The transaction holds the chain until it ends, so it comes late in one."""
    hold(db)
    last = db.execute(
        sa.select(audit.c.sequence, audit.c.digest)
        .where(audit.c.sequence < _MOST)
        .order_by(audit.c.sequence.desc())
        .limit(1)
    ).first()
    sequence, previous = (last.sequence, last.digest) if last is not None else (0, GENESIS)
    made = link(previous, sequence + 1, entry)
    db.execute(
        audit.insert().values(
            sequence=made.sequence,
            act=made.act,
            subject=made.subject,
            actor=made.actor,
            at=made.at,
            body=made.body,
            digest=made.digest,
        )
    )
    return made


def of(db: sa.Connection, subject: str) -> tuple[Link, ...]:
    """Every link about one thing, in order."""
    query = sa.select(audit).where(audit.c.subject == subject).order_by(audit.c.sequence)
    return tuple(read(row) for row in db.execute(query))


class AuditLog:
    """Reads and writes the chain by itself. Thread-safe; waits for the disk. Unavailable."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def append(self, entry: Entry) -> Link:
        """Adds what has no other row."""
        with self._database.writing() as db:
            return append(db, entry)

    def links(self, after: int = 0) -> Iterator[Link]:
        """Every link with a sequence above `after`, in order, a page at a time."""
        while True:
            query = sa.select(audit).where(audit.c.sequence > after).order_by(audit.c.sequence).limit(_PAGE)
            with self._database.reading() as db:
                page = [read(row) for row in db.execute(query)]
            yield from page
            if len(page) < _PAGE or page[-1].sequence <= after:
                return
            after = page[-1].sequence

    def of(self, subject: str) -> tuple[Link, ...]:
        """Every link about one thing, in order."""
        with self._database.reading() as db:
            return of(db, subject)

    def head(self) -> Link | None:
        """The last link, None before the first."""
        query = sa.select(audit).order_by(audit.c.sequence.desc()).limit(1)
        with self._database.reading() as db:
            row = db.execute(query).first()
            return None if row is None else read(row)


def read(row: sa.Row[Any]) -> Link:
    """A link as it stands in the store, whatever somebody has written into it."""
    return Link(whole(row.sequence, -1), *map(words, row[1:]))

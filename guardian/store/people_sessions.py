"""Who is signed in, and from which browsers people have signed in before. Secrets come as digests only."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from guardian.core.audit import Entry
from guardian.core.people import Person
from guardian.store import audit
from guardian.store.database import Database, insert_into
from guardian.store.people import person_of
from guardian.store.people_tables import accounts, browsers, sessions

_SESSIONS = 8
_BROWSERS = 8
"""Of one person; those longest unseen make room."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How long a session lasts: idle_s since it was last used, longest_s since it began."""

    idle_s: float
    longest_s: float


@dataclass(frozen=True, slots=True)
class Session:
    """One that is kept; times are wall clock seconds."""

    person: Person
    began_at: float
    seen_at: float


@dataclass(frozen=True, slots=True)
class Beginning:
    """A session that begins. old: digests of what the browser has shown, which end with it."""

    digest: str
    browser: str
    account_id: str
    now: float
    old_session: str = ""
    old_browser: str = ""


class Sessions:
    """Thread-safe; waits for the disk. Unavailable."""

    def __init__(self, database: Database, limits: Limits) -> None:
        self._database = database
        self._limits = limits

    def begin(self, new: Beginning, password: str, told: Entry) -> bool:
        """Keeps a session and the browser, and forgets what is over.

        password: the hash that was looked at. False, and nothing is kept, when it was changed or the account
        was disabled meanwhile.
        """
        with self._database.writing() as db:
            audit.hold(db)
            same = sa.and_(
                accounts.c.id == new.account_id,
                accounts.c.password == password,
                accounts.c.disabled_at.is_(None),
            )
            if db.execute(sa.select(accounts.c.id).where(same).with_for_update()).first() is None:
                return False
            db.execute(sessions.delete().where(self._over(new.now) | (sessions.c.digest == new.old_session)))
            db.execute(browsers.delete().where(browsers.c.digest == new.old_browser))
            row = {"account_id": new.account_id, "seen_at": new.now}
            db.execute(sessions.insert().values(digest=new.digest, began_at=new.now, **row))
            db.execute(insert_into(db.dialect.name, browsers).values(digest=new.browser, **row))
            _make_room(db, sessions, new.account_id, _SESSIONS)
            _make_room(db, browsers, new.account_id, _BROWSERS)
            audit.append(db, told)
            return True

    def find(self, digest: str, now: float) -> Session | None:
        """The session, unless it is over."""
        query = (
            sa.select(accounts, sessions.c.began_at, sessions.c.seen_at)
            .join(sessions, sessions.c.account_id == accounts.c.id)
            .where(sessions.c.digest == digest, ~self._over(now), accounts.c.disabled_at.is_(None))
        )
        with self._database.reading() as db:
            row = db.execute(query).first()
        return None if row is None else Session(person_of(row), row.began_at, row.seen_at)

    def touch(self, digest: str, now: float) -> None:
        """It was used."""
        with self._database.writing() as db:
            db.execute(sessions.update().where(sessions.c.digest == digest).values(seen_at=now))

    def end(self, digest: str, told: Entry) -> None:
        """Ends it; told only when it was there."""
        with self._database.writing() as db:
            audit.hold(db)
            if db.execute(sessions.delete().where(sessions.c.digest == digest)).rowcount:
                audit.append(db, told)

    def knows(self, browser: str, account_id: str) -> bool:
        """Whether this person has signed in from there before."""
        query = sa.select(browsers.c.digest).where(
            browsers.c.digest == browser, browsers.c.account_id == account_id
        )
        with self._database.reading() as db:
            return db.execute(query).first() is not None

    def _over(self, now: float) -> sa.ColumnElement[bool]:
        idle, longest = self._limits.idle_s, self._limits.longest_s
        return sa.or_(
            sessions.c.seen_at <= now - idle,
            sessions.c.began_at <= now - longest,
            # The clock was set back: better asked once more than signed in for ever.
            sessions.c.began_at > now + idle,
        )


def _make_room(db: sa.Connection, table: sa.Table, account_id: str, most: int) -> None:
    of_them = sa.select(table.c.digest).where(table.c.account_id == account_id)
    kept = of_them.order_by(table.c.seen_at.desc(), table.c.digest).limit(most)
    db.execute(table.delete().where(table.c.account_id == account_id, table.c.digest.not_in(kept)))

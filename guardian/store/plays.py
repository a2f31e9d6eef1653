"""What somebody has played, as the chain tells it: no second account of people's work is kept."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from guardian.core.audit import Act
from guardian.core.evidence_facts import facts_read
from guardian.core.exposure import Play
from guardian.core.times import rfc3339
from guardian.store.cells import seconds, whole, words
from guardian.store.database import Database
from guardian.store.evidence_tables import audit, evidence

_REMEMBERED = 256
_MOST = 2000
"""Plays of one person and day; who has more is told of so many."""
_NOTES = '"part":"notes"'
"""Of a link that tells that the transcript was read: nothing was seen or heard."""


@dataclass(frozen=True, slots=True)
class _Read:
    """The plays found so far. after: the last link that was looked at."""

    after: int
    plays: tuple[Play, ...]


class PlayLog:
    """Thread-safe; waits for the disk. Unavailable. Reads each link once for each person and day."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._read: OrderedDict[tuple[str, float], _Read] = OrderedDict()
        self._lock = threading.Lock()

    def plays(self, actor: str, since: float) -> tuple[Play, ...]:
        """What a principal has opened since then, in order."""
        key = (actor, since)
        with self._lock:
            known = self._read.get(key)
        with self._database.reading() as db:
            known = known or _Read(_before(db, rfc3339(since)), ())
            last = whole(db.execute(sa.select(sa.func.max(audit.c.sequence))).scalar(), known.after)
            rows = _rows(db, actor, (known.after, last), _MOST - len(known.plays))
            lengths = _lengths(db, {words(row.subject) for row in rows})
        fresh = tuple(Play(_at(row.at), words(row.subject), lengths.get(row.subject, 0.0)) for row in rows)
        now = _Read(max(last, known.after), known.plays + fresh)
        with self._lock:
            self._read[key] = now
            self._read.move_to_end(key)
            while len(self._read) > _REMEMBERED:
                self._read.popitem(last=False)
        return now.plays


def _before(db: sa.Connection, since: str) -> int:
    """The last link before a time; links stand in order of time, and there is no index of it."""
    low, high = 0, whole(db.execute(sa.select(sa.func.max(audit.c.sequence))).scalar(), 0)
    while low < high:
        middle = (low + high + 1) // 2
        at = db.execute(sa.select(audit.c.at).where(audit.c.sequence == middle)).scalar()
        if words(at) < since:
            low = middle
        else:
            high = middle - 1
    return low


def _rows(
    db: sa.Connection, actor: str, between: tuple[int, int], most: int
) -> list[sa.Row[tuple[str, str]]]:
    query = (
        sa.select(audit.c.subject, audit.c.at)
        .where(
            audit.c.sequence > between[0],
            audit.c.sequence <= between[1],
            audit.c.act == Act.PLAYED.value,
            audit.c.actor == actor,
            ~audit.c.body.contains(_NOTES, autoescape=True),
        )
        .order_by(audit.c.sequence)
        .limit(max(0, most))
    )
    return list(db.execute(query))


def _lengths(db: sa.Connection, clips: Collection[str]) -> Mapping[str, float]:
    """Seconds of each clip, erased ones too."""
    found = {}
    for row in db.execute(sa.select(evidence.c.id, evidence.c.facts).where(evidence.c.id.in_(clips))):
        facts = facts_read(words(row.facts))
        start, end = seconds(facts.get("start_ms"), 0.0), seconds(facts.get("end_ms"), 0.0)
        found[row.id] = max(0.0, end - start) / 1000
    return found


def _at(text: str) -> float:
    try:
        return datetime.fromisoformat(words(text)).timestamp()
    except ValueError:
        return 0.0

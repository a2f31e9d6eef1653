"""Evidence in the store: what there is, until when, and the sealed keys without which nobody reads it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from guardian.core.audit import Act, Link
from guardian.core.errors import NoSuchEvidence
from guardian.core.evidence import EVIDENCE_ID, ClipRecord, Hold, ReviewState
from guardian.core.evidence_facts import facts_read
from guardian.core.times import rfc3339
from guardian.store import audit
from guardian.store.cells import LAST_S, is_time, seconds, words
from guardian.store.database import Database
from guardian.store.evidence_changes import Doing, digest_of, endless, entry, forget
from guardian.store.evidence_tables import clock, evidence, evidence_holds, evidence_keys

_PAGE = 500
_TIMES = ("made_at", "retain_until", "erased_at")


@dataclass(frozen=True, slots=True)
class Search:
    """Which clips are meant; what is None or empty does not choose. after: the last id that was seen."""

    tenant: str | None = None
    participant: str | None = None
    call_id: str | None = None
    review: ReviewState | None = None
    after: str = ""
    limit: int = 100


@dataclass(frozen=True, slots=True)
class SealedKey:
    """The sealed key of one file."""

    evidence_id: str
    part: str
    key_id: str
    wrapped: str = field(repr=False)


class EvidenceStore:
    """Thread-safe; waits for the disk. Every method raises Unavailable when the store does not do it.

    tenant: None is for the server's own clocks and for the command line; others see their own only.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def find(self, evidence_id: str, tenant: str | None) -> ClipRecord:
        """One clip, erased ones too. NoSuchEvidence."""
        with self._database.reading() as db:
            return _find(db, evidence_id, tenant)

    def search(self, wanted: Search) -> tuple[ClipRecord, ...]:
        """Clips by id, the oldest first."""
        query = sa.select(evidence).where(evidence.c.id > wanted.after).order_by(evidence.c.id)
        if wanted.tenant is not None:
            query = query.where(evidence.c.tenant == wanted.tenant)
        if wanted.participant:
            either = (evidence.c.shopper == wanted.participant) | (evidence.c.merchant == wanted.participant)
            query = query.where(either)
        if wanted.call_id:
            query = query.where(evidence.c.call_id == wanted.call_id)
        if wanted.review is not None:
            query = query.where(evidence.c.review == wanted.review.value)
        with self._database.reading() as db:
            return _records(db, query.limit(wanted.limit))

    def known(self, ids: Iterable[str]) -> frozenset[str]:
        """Those of the ids that there are rows of."""
        wanted, found = sorted(ids), set[str]()
        for at in range(0, len(wanted), _PAGE):
            query = sa.select(evidence.c.id).where(evidence.c.id.in_(wanted[at : at + _PAGE]))
            with self._database.reading() as db:
                found.update(row.id for row in db.execute(query))
        return frozenset(found)

    def count(self) -> int:
        """How many clips there ever were."""
        with self._database.reading() as db:
            return int(db.execute(sa.select(sa.func.count()).select_from(evidence)).scalar_one())

    def all(self) -> Iterator[ClipRecord]:
        """Every clip there ever was, a page at a time."""
        yield from self.every(Search(limit=_PAGE))

    def every(self, wanted: Search) -> Iterator[ClipRecord]:
        """All that are meant, `limit` at a time, each once."""
        after, strange = wanted.after, set[str]()
        while True:
            room = wanted.limit + len(strange)
            page = self.search(replace(wanted, after=after, limit=room))
            fresh = [record for record in page if record.id not in strange]
            yield from fresh
            if not fresh or len(page) < room:
                return
            # What is no id has no place among them, and may come again.
            strange.update(record.id for record in fresh if not EVIDENCE_ID.fullmatch(record.id))
            after = next((one.id for one in reversed(fresh) if one.id not in strange), after)

    def key(self, evidence_id: str, part: str) -> SealedKey:
        """The sealed key of one file. NoSuchEvidence when it was destroyed, or never was."""
        query = sa.select(evidence_keys).where(
            evidence_keys.c.evidence_id == evidence_id, evidence_keys.c.part == part
        )
        with self._database.reading() as db:
            row = db.execute(query).first()
        if row is None:
            raise NoSuchEvidence("There is no such evidence any more.")
        return _sealed_key(row)

    def review(self, record: ClipRecord, change: Mapping[str, Any], doing: Doing) -> Link:
        """Writes what people say of a clip: `review` and `until` (wall clock seconds), and what else is told.

        NoSuchEvidence when it has been erased, or said otherwise, in the meantime.
        """
        values = {"review": change["review"], "retain_until": change["until"]}
        body = {**change, "from": record.review, "until": rfc3339(change["until"])}
        with self._database.writing() as db:
            audit.hold(db)
            done = db.execute(
                evidence.update()
                .where(
                    evidence.c.id == record.id,
                    evidence.c.review == record.review,
                    evidence.c.erased_at.is_(None),
                )
                .values(**values)
            )
            if done.rowcount == 0:
                raise NoSuchEvidence("This evidence was changed in the meantime; look at it again.")
            return audit.append(db, entry(Act.REVIEWED, record.id, doing, body))

    def hold(self, evidence_id: str, hold: Hold | None, doing: Doing) -> Link:
        """Sets a legal hold in place of any other, or releases it. NoSuchEvidence when it has been erased."""
        with self._database.writing() as db:
            audit.hold(db)
            # Keeps the row as it is until the hold is written: nobody erases it in between.
            there = evidence.update().where(evidence.c.id == evidence_id, evidence.c.erased_at.is_(None))
            if db.execute(there.values(id=evidence_id)).rowcount == 0:
                raise NoSuchEvidence("There is no such evidence any more.")
            db.execute(evidence_holds.delete().where(evidence_holds.c.evidence_id == evidence_id))
            if hold is None:
                return audit.append(db, entry(Act.RELEASED, evidence_id, doing, {}))
            values = {"owner": hold.owner, "reason": hold.reason, "until": hold.until}
            db.execute(evidence_holds.insert().values(evidence_id=evidence_id, **values))
            body = {**values, "until": rfc3339(hold.until)}
            return audit.append(db, entry(Act.HELD, evidence_id, doing, body))

    def expired(self, now: float, limit: int) -> tuple[ClipRecord, ...]:
        """Clips that are to be erased; where a row does not say when, as the chain says."""
        held = sa.select(evidence_holds.c.evidence_id).where(evidence_holds.c.until > now)
        live = (
            sa.select(evidence)
            .where(evidence.c.erased_at.is_(None), evidence.c.id.not_in(held))
            .order_by(evidence.c.retain_until)
            .limit(limit)
        )
        with self._database.reading() as db:
            due = _records(db, live.where(evidence.c.retain_until <= now))
            odd = _records(db, live.where(endless(db)))
        return (due + tuple(record for record in odd if record.retain_until <= now))[:limit]

    def with_files(self, limit: int) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """Erased clips whose files are still to be removed: (id, parts)."""
        query = (
            sa.select(evidence.c.id, evidence.c.parts)
            .where(evidence.c.erased_at.is_not(None), evidence.c.files == 1)
            .order_by(evidence.c.erased_at)
            .limit(limit)
        )
        with self._database.reading() as db:
            return tuple((words(row.id), tuple(words(row.parts).split(","))) for row in db.execute(query))

    def files_gone(self, ids: Sequence[str]) -> None:
        """Their files have been removed."""
        with self._database.writing() as db:
            db.execute(evidence.update().where(evidence.c.id.in_(ids)).values(files=0))

    def forget(self, ids: Sequence[str], doing: Doing) -> None:
        """Forgets whose clips these were; only erased ones."""
        with self._database.writing() as db:
            audit.hold(db)
            for evidence_id in ids:
                forget(db, evidence_id, doing)

    def overwrite_keys(self) -> None:
        """Takes destroyed keys out of the files of the store too."""
        self._database.overwrite(evidence_keys)

    def outlived(self, erased_before: float, limit: int) -> tuple[str, ...]:
        """Clips that were erased before a time and are still known."""
        query = (
            sa.select(evidence.c.id)
            .where(evidence.c.erased_at < erased_before, evidence.c.facts != "")
            .limit(limit)
        )
        with self._database.reading() as db:
            return tuple(words(row.id) for row in db.execute(query))

    def keys_besides(self, key_id: str, after: tuple[str, str], limit: int) -> tuple[SealedKey, ...]:
        """Sealed keys of files that are sealed to another key than this one; after: the last (id, part)."""
        place = sa.tuple_(evidence_keys.c.evidence_id, evidence_keys.c.part)
        query = (
            sa.select(evidence_keys)
            .where(evidence_keys.c.key_id != key_id, place > sa.tuple_(*map(sa.literal, after)))
            .order_by(evidence_keys.c.evidence_id, evidence_keys.c.part)
            .limit(limit)
        )
        with self._database.reading() as db:
            return tuple(_sealed_key(row) for row in db.execute(query))

    def rewrapped(self, before: Sequence[SealedKey], after: Sequence[SealedKey], doing: Doing) -> int:
        """Puts keys sealed anew in the place of others; one that was destroyed meanwhile stays so.

        Returns how many were put.
        """
        put = 0
        with self._database.writing() as db:
            audit.hold(db)
            for old, new in zip(before, after, strict=True):
                done = db.execute(
                    evidence_keys.update()
                    .where(
                        evidence_keys.c.evidence_id == old.evidence_id,
                        evidence_keys.c.part == old.part,
                        evidence_keys.c.wrapped == old.wrapped,
                    )
                    .values(key_id=new.key_id, wrapped=new.wrapped)
                )
                put += done.rowcount
            if put:
                body = {"from": sorted({key.key_id for key in before}), "files": put}
                audit.append(db, entry(Act.ROTATED, after[0].key_id, doing, body))
        return put

    def seen(self, now: float) -> float:
        """The latest wall clock time anybody has told this store; from now on at least `now`."""
        with self._database.writing() as db:
            found = db.execute(sa.select(clock.c.seen)).scalar_one_or_none()
            last = seconds(found, 0.0)
            if found is None:
                db.execute(clock.insert().values(id=1, seen=now))
            elif now > last:
                db.execute(clock.update().values(seen=now))
            return max(now, last)

    def last_seen(self) -> float:
        """The same without telling it a time; 0 before the first."""
        with self._database.reading() as db:
            return seconds(db.execute(sa.select(clock.c.seen)).scalar_one_or_none(), 0.0)


def _find(db: sa.Connection, evidence_id: str, tenant: str | None) -> ClipRecord:
    query = sa.select(evidence).where(evidence.c.id == evidence_id)
    found = _records(db, query if tenant is None else query.where(evidence.c.tenant == tenant))
    if not found:
        raise NoSuchEvidence("There is no such evidence.")
    return found[0]


def _records(db: sa.Connection, query: sa.Select[Any]) -> tuple[ClipRecord, ...]:
    rows = db.execute(query).all()
    ids = [row.id for row in rows]
    keys: dict[str, list[str]] = {}
    for row in db.execute(
        sa.select(evidence_keys.c.evidence_id, evidence_keys.c.part).where(
            evidence_keys.c.evidence_id.in_(ids)
        )
    ):
        keys.setdefault(row.evidence_id, []).append(words(row.part))
    holds = {
        row.evidence_id: Hold(words(row.owner), words(row.reason), seconds(row.until, LAST_S))
        for row in db.execute(sa.select(evidence_holds).where(evidence_holds.c.evidence_id.in_(ids)))
    }
    return tuple(
        ClipRecord(
            id=words(row.id),
            tenant=words(row.tenant),
            call_id=words(row.call_id),
            participants={
                role: words(name)
                for role, name in (("shopper", row.shopper), ("merchant", row.merchant))
                if name
            },
            facts=facts_read(words(row.facts)),
            digest=digest_of(words(row.facts)),
            review=words(row.review),
            made_at=seconds(row.made_at, LAST_S),
            retain_until=_until(db, row),
            hold=holds.get(row.id),
            erased_at=None if row.erased_at is None else seconds(row.erased_at, LAST_S),
            erased_why=words(row.erased_why),
            part_keys=tuple(sorted(keys.get(row.id, ()))),
            odd=tuple(name for name in _TIMES if not _fits(getattr(row, name))),
        )
        for row in rows
    )


def _fits(value: Any) -> bool:
    return value is None or is_time(value)


def _until(db: sa.Connection, row: sa.Row[Any]) -> float:
    """Until when a clip is kept; where its row holds no time, by the last link that says so, or no longer."""
    if is_time(row.retain_until):
        return seconds(row.retain_until, 0.0)
    until = 0.0
    for link in audit.of(db, words(row.id)):
        if link.act in (Act.KEPT, Act.REVIEWED):
            with suppress(ValueError, KeyError, TypeError, RecursionError):
                until = datetime.fromisoformat(json.loads(link.body)["until"]).timestamp()
    return until


def _sealed_key(row: sa.Row[Any]) -> SealedKey:
    return SealedKey(*map(words, row))

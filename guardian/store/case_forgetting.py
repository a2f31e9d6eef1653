"""What is known of people in cases: given out, and forgotten when they ask or its time is over."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from guardian.core.audit import Act, Link
from guardian.core.case_queue import place
from guardian.core.cases import WAITING, CaseState
from guardian.core.times import rfc3339
from guardian.store import audit
from guardian.store.case_changes import Change, empty_notes, step
from guardian.store.case_tables import NOTHING, appeals, case_clips, cases
from guardian.store.database import Database
from guardian.store.evidence_changes import Doing, entry
from guardian.store.evidence_tables import evidence, evidence_holds
from guardian.store.participants import Named

_AT_ONCE = 200


class CaseForgetting:
    """Thread-safe; waits for the disk. Unavailable."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def told(self, who: Named) -> list[dict[str, Any]]:
        """All cases somebody is named in, the oldest first."""
        found: list[dict[str, Any]] = []
        while True:
            query = sa.select(cases).where(_named(who)).order_by(cases.c.id).limit(_AT_ONCE)
            if found:
                query = query.where(cases.c.id > found[-1]["case_id"])
            with self._database.reading() as db:
                page = db.execute(query).all()
                words = _words(db, [row.id for row in page])
            found += [_told(row, words.get(row.id, [])) for row in page]
            if len(page) < _AT_ONCE:
                return found

    def forget(self, who: Named, doing: Doing) -> tuple[list[Link], int]:
        """Forgets whom cases are about, what was said in them and what was appealed with.

        Returns the links of the chain, and how many cases stay: a legal hold keeps their evidence, or an
        appeal is to be decided.
        """
        links: list[Link] = []
        while True:
            with self._database.writing() as db:
                audit.hold(db)
                free = sa.select(cases).where(_named(who), ~_kept(doing.now)).limit(_AT_ONCE)
                rows = db.execute(free).all()
                made = [_forget(db, row, doing) for row in rows]
            links += made
            if len(rows) < _AT_ONCE:
                break
        held = sa.select(sa.func.count()).select_from(cases).where(_named(who), _kept(doing.now))
        with self._database.reading() as db:
            return links, int(db.execute(held).scalar_one())

    def sweep(self, doing: Doing, records_s: float) -> tuple[list[Link], int]:
        """Empties the words of cases whose time is over, and forgets whom they were about `records_s` later.

        What is under appeal stays, and what a legal hold keeps the evidence of. Returns the links of the
        chain, and how many cases were touched; to be called until that is none.
        """
        with self._database.writing() as db:
            audit.hold(db)
            free = ~_kept(doing.now)
            over = sa.select(cases.c.id).where(
                cases.c.retain_until <= doing.now, cases.c.said != NOTHING, free
            )
            ids = list(db.execute(over.limit(_AT_ONCE)).scalars())
            db.execute(cases.update().where(cases.c.id.in_(ids)).values(said=""))
            empty_notes(db, ids)
            outlived = sa.select(cases).where(
                cases.c.retain_until <= doing.now - records_s, cases.c.party != NOTHING, free
            )
            rows = db.execute(outlived.limit(_AT_ONCE)).all()
            return [_forget(db, row, doing) for row in rows], len(ids) + len(rows)


def _named(who: Named) -> sa.ColumnElement[bool]:
    party, other = cases.c.party == who.participant, cases.c.other == who.participant
    return (cases.c.tenant == who.tenant) & (party | other)


def _kept(now: float) -> sa.ColumnElement[bool]:
    """Whether the case is under appeal, or a legal hold keeps a clip of it."""
    return (cases.c.state == CaseState.APPEALED.value) | (
        sa.exists()
        .where(case_clips.c.case_id == cases.c.id)
        .where(evidence_holds.c.evidence_id == case_clips.c.evidence_id, evidence_holds.c.until > now)
        .where(evidence.c.id == case_clips.c.evidence_id, evidence.c.erased_at.is_(None))
    )


def _forget(db: sa.Connection, row: sa.Row[Any], doing: Doing) -> Link:
    facts = {key: value for key, value in json.loads(row.facts or "{}").items() if key not in ("call",)}
    values: dict[str, Any] = {
        "party": "",
        "other": "",
        "call_id": "",
        # Stays unique without its call.
        "cause": row.id,
        "facts": json.dumps(facts),
        "said": "",
        "lease": "",
        "held_until": 0.0,
    }
    if CaseState(row.state) in WAITING:
        state = CaseState.WITHDRAWN
        values |= {"state": state.value, "place": place(state, row.place, doing.now)}
    step(db, row.id, "forgotten", Change(doing.actor, doing.now, values))
    empty_notes(db, [row.id])
    # A statement names the call, and may name anybody.
    emptied = {"words": "", "reason": "", "statement": ""}
    db.execute(appeals.update().where(appeals.c.case_id == row.id).values(**emptied))
    return audit.append(db, entry(Act.CASE_FORGOTTEN, row.id, doing, {}))


def _words(db: sa.Connection, ids: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for row in db.execute(sa.select(appeals).where(appeals.c.case_id.in_(ids)).order_by(appeals.c.opened_at)):
        told = {
            "appeal_id": row.id,
            "role": row.role,
            "words": row.words,
            "outcome": row.finding or None,
            "statement": json.loads(row.statement or "{}") or None,
        }
        found.setdefault(row.case_id, []).append(told)
    return found


def _told(row: sa.Row[Any], brought: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "case_id": row.id,
        "kind": row.kind,
        "call_id": row.call_id,
        "about": row.role,
        "category": row.category,
        "rule": row.rule or None,
        "level": row.level,
        "made_at": rfc3339(row.made_at),
        "state": row.state,
        "finding": row.finding or None,
        "decided_at": rfc3339(row.decided_at) if row.decided_at is not None else None,
        "said": json.loads(row.said or "{}"),
        "appeals": brought,
    }

"""Changes of cases that come with events: what a call has told makes cases and brings them up to date.

All are for `Entry.also` of the event, and leave no trace when there is nothing to be changed.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from guardian.core.audit import CLOCK, canonical
from guardian.core.case_queue import HIT_S, MOST_HITS, Urgency, due_at, place, rank
from guardian.core.cases import WAITING, CaseKind, CaseState, ReviewTerms
from guardian.core.violations import Level, Role
from guardian.store import audit
from guardian.store.case_tables import case_clips, case_history, cases
from guardian.store.database import insert_into

REMARKS = ("note", "decision", "taken_over")
"""What of the history has words of people in it."""


@dataclass(frozen=True, slots=True)
class Key:
    """How events name the case they are about. cause: a violation, or the event of a complaint."""

    tenant: str
    call_id: str
    cause: str


@dataclass(frozen=True, slots=True)
class NewCase:
    """A case that is to be made. at: wall clock seconds; said: masked words, empty where none may be kept."""

    id: str
    kind: CaseKind
    key: Key
    event_id: str
    role: Role
    party: str
    other: str
    level: Level
    category: str
    language: str
    rule: str
    facts: Mapping[str, Any]
    said: Mapping[str, Any]
    at: float
    retain_until: float


def make(db: sa.Connection, new: NewCase, terms: ReviewTerms) -> None:
    """Makes a case; others of the same party in the same call become more urgent. Idempotent by its key."""
    audit.hold(db)
    alike = (
        (cases.c.tenant == new.key.tenant)
        & (cases.c.call_id == new.key.call_id)
        & (cases.c.role == new.role.value)
        & (cases.c.kind == CaseKind.VIOLATION.value)
    )
    hits = 1
    if new.kind is CaseKind.VIOLATION:
        hits += int(db.execute(sa.select(sa.func.count()).where(alike)).scalar_one())
    urgency = Urgency(new.level, new.at, hits)
    made = db.execute(
        insert_into(db.dialect.name, cases)
        .values(
            id=new.id,
            tenant=new.key.tenant,
            kind=new.kind.value,
            cause=new.key.cause,
            event_id=new.event_id,
            call_id=new.key.call_id,
            role=new.role.value,
            party=new.party,
            other=new.other,
            level=new.level.value,
            category=new.category,
            language=new.language,
            rule=new.rule,
            hits=hits,
            state=CaseState.OPEN.value,
            place=place(CaseState.OPEN, rank(urgency, terms), new.at),
            made_at=new.at,
            due_at=due_at(urgency, terms),
            version=1,
            lease="",
            holder="",
            held_until=0.0,
            finding="",
            decided_event="",
            facts=canonical(new.facts),
            said=_text(new.said),
            retain_until=new.retain_until,
        )
        .on_conflict_do_nothing()
        .returning(cases.c.id)
    ).first()
    if made is None:
        return
    _tell(db, new.id, 1, "made", Change(CLOCK.text, new.at))
    if hits > 1:
        sooner = sa.case((cases.c.hits <= MOST_HITS, HIT_S), else_=0.0)
        others = alike & (cases.c.id != new.id) & cases.c.state.in_(WAITING)
        db.execute(cases.update().where(others).values(hits=cases.c.hits + 1, place=cases.c.place - sooner))


def update(db: sa.Connection, new: NewCase, terms: ReviewTerms) -> None:
    """A violation was told again, with other words or another level. Not made when it is not there."""
    audit.hold(db)
    row = _row(db, new.key)
    if row is None:
        return
    urgency = Urgency(new.level, row.made_at, row.hits)
    facts = {**json.loads(row.facts or "{}"), **new.facts}
    # What was emptied stays so: its evidence is gone.
    said = _text(new.said) if json.loads(row.said or "{}") else row.said
    values: dict[str, Any] = {
        "level": new.level.value,
        "category": new.category,
        "rule": new.rule,
        "facts": canonical(facts),
        "said": said,
    }
    if CaseState(row.state) in WAITING:
        values |= {"place": rank(urgency, terms), "due_at": due_at(urgency, terms)}
    if all(getattr(row, name) == value for name, value in values.items() if name != "place"):
        return
    step(db, row.id, "updated", Change(CLOCK.text, new.at, values))


def retract(db: sa.Connection, key: Key, at: float) -> str | None:
    """A violation was taken back: nobody has to look at it, if nobody has decided yet. The id of its case."""
    audit.hold(db)
    row = _row(db, key)
    if row is None:
        return None
    state = CaseState.WITHDRAWN
    values = {"state": state.value, "place": place(state, row.place, at), "lease": "", "held_until": 0.0}
    is_open = row.state == CaseState.OPEN.value
    step(db, row.id, "retracted", Change(CLOCK.text, at, values if is_open else {}))
    return str(row.id)


def add_clip(db: sa.Connection, keys: Collection[Key], evidence_id: str, at: float) -> list[str]:
    """There is evidence of these cases. The ids of those that have it now and had it not."""
    audit.hold(db)
    more = []
    for key in keys:
        row = _row(db, key)
        if row is None:
            continue
        statement = insert_into(db.dialect.name, case_clips).values(case_id=row.id, evidence_id=evidence_id)
        added = db.execute(statement.on_conflict_do_nothing().returning(case_clips.c.case_id)).first()
        if added is not None:
            step(db, row.id, "evidence", Change(CLOCK.text, at, detail={"evidence_id": evidence_id}))
            more.append(str(row.id))
    return more


def drop_clip(db: sa.Connection, evidence_id: str, at: float) -> None:
    """A clip was erased; with the last one of a case the words go too."""
    audit.hold(db)
    here = case_clips.c.evidence_id == evidence_id
    gone = db.execute(
        case_clips.update()
        .where(here, case_clips.c.gone_at.is_(None))
        .values(gone_at=at)
        .returning(case_clips.c.case_id)
    ).scalars()
    for case_id in sorted(gone):
        left = sa.select(sa.func.count()).where(
            case_clips.c.case_id == case_id, case_clips.c.gone_at.is_(None)
        )
        values = {} if db.execute(left).scalar_one() else {"said": ""}
        detail = {"evidence_id": evidence_id}
        step(db, case_id, "evidence_gone", Change(CLOCK.text, at, values, detail))
        if values:
            empty_notes(db, [case_id])


def empty_notes(db: sa.Connection, ids: Collection[str]) -> None:
    """Notes that people wrote in cases are emptied."""
    db.execute(
        case_history.update()
        .where(case_history.c.case_id.in_(ids), case_history.c.what.in_(REMARKS))
        .values(detail="{}")
    )


def remarked() -> sa.ColumnElement[str]:
    """`said` of a case in which something is remarked: not empty, so that the clock finds the remark."""
    return sa.case((cases.c.said == "", canonical({})), else_=cases.c.said)


def _text(said: Mapping[str, Any]) -> str:
    return canonical(said) if said else ""


@dataclass(frozen=True, slots=True)
class Change:
    """What is done to a case. values: columns; detail: what its history keeps of it, JSON."""

    actor: str
    at: float
    values: Mapping[str, Any] | None = None
    detail: Mapping[str, Any] | None = None


def step(db: sa.Connection, case_id: str, what: str, change: Change) -> int:
    """Changes a case, which brings it to the next version; returns that."""
    version = int(
        db.execute(
            cases.update()
            .where(cases.c.id == case_id)
            .values(version=cases.c.version + 1, **(change.values or {}))
            .returning(cases.c.version)
        ).scalar_one()
    )
    _tell(db, case_id, version, what, change)
    return version


def _tell(db: sa.Connection, case_id: str, version: int, what: str, change: Change) -> None:
    row = {"what": what, "actor": change.actor, "at": change.at, "detail": canonical(change.detail or {})}
    db.execute(case_history.insert().values(case_id=case_id, version=version, **row))


def _row(db: sa.Connection, key: Key) -> sa.Row[Any] | None:
    return db.execute(
        sa.select(cases).where(
            cases.c.tenant == key.tenant, cases.c.call_id == key.call_id, cases.c.cause == key.cause
        )
    ).first()

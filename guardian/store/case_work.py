"""What people do in cases: each change is made if the case is still as they saw it, and the chain is told.

All are for one transaction, alone or with the event that tells of it. Each returns its link of the chain.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from guardian.core.audit import Act, Link
from guardian.core.case_records import CaseRecord, DecisionRecord
from guardian.core.cases import CaseState, Finding, Lease, clip_state
from guardian.core.errors import CaseConflict
from guardian.core.evidence import ReviewState
from guardian.core.retention import Retention
from guardian.core.times import rfc3339
from guardian.store import audit
from guardian.store.case_changes import Change, remarked, step
from guardian.store.case_tables import case_clips, cases, decisions
from guardian.store.evidence_changes import Doing, entry
from guardian.store.evidence_tables import evidence

_CHANGED = "This case was changed in the meantime; look at what is new."


@dataclass(frozen=True, slots=True)
class Settled:
    """How a case stands after something. event_id: of the event that tells of it, empty without one."""

    state: CaseState
    place: float
    finding: Finding | None
    event_id: str = ""


def claim(db: sa.Connection, seen: CaseRecord, lease: Lease, doing: Doing, why: str = "") -> Link:
    """Gives a case to somebody. why: of taking it over from who holds it; empty: nobody may hold it.

    CaseConflict when somebody was quicker.
    """
    audit.hold(db)
    here = (cases.c.id == seen.id) & (cases.c.state == seen.state.value)
    free = cases.c.lease == seen.lease.id if why else cases.c.held_until <= doing.now
    values = {"lease": lease.id, "holder": lease.holder, "held_until": lease.until}
    if not db.execute(cases.update().where(here, free).values(id=cases.c.id)).rowcount:
        raise CaseConflict("Somebody else has claimed this case.")
    what, act = ("taken_over", Act.CASE_TAKEN_OVER) if why else ("claimed", Act.CASE_CLAIMED)
    detail = {"why": why, "from": seen.lease.holder} if why else {}
    step(db, seen.id, what, Change(doing.actor, doing.now, values, detail))
    told = {"from": seen.lease.holder, "why": _sha256(why)} if why else {}
    return audit.append(db, entry(act, seen.id, doing, told))


def hold(db: sa.Connection, seen: CaseRecord, now: float) -> None:
    """Keeps a case as it is until the end of the transaction. CaseConflict when its lease has ended."""
    audit.hold(db)
    _still(db, seen, _held(seen, now))


def renew(db: sa.Connection, seen: CaseRecord, until: float, now: float) -> None:
    """Lets a lease last longer, which is no change of the case. CaseConflict when it has ended."""
    mine = (cases.c.id == seen.id) & _held(seen, now)
    if not db.execute(cases.update().where(mine).values(held_until=until)).rowcount:
        raise CaseConflict("Your claim of this case has ended.")


def release(db: sa.Connection, seen: CaseRecord, doing: Doing) -> Link:
    """Gives a case back. CaseConflict when the lease is another one by now."""
    audit.hold(db)
    _still(db, seen, cases.c.lease == seen.lease.id)
    step(
        db,
        seen.id,
        "released",
        Change(doing.actor, doing.now, {"lease": "", "holder": "", "held_until": 0.0}),
    )
    return audit.append(db, entry(Act.CASE_RELEASED, seen.id, doing, {}))


def note(db: sa.Connection, seen: CaseRecord, text: str, doing: Doing) -> tuple[int, Link]:
    """Keeps what somebody remarks; the version it makes, and its link."""
    audit.hold(db)
    change = Change(doing.actor, doing.now, {"said": remarked()}, {"note": text})
    version = step(db, seen.id, "note", change)
    return version, audit.append(db, entry(Act.CASE_NOTED, seen.id, doing, {"note": _sha256(text)}))


def decide(
    db: sa.Connection, seen: CaseRecord, made: DecisionRecord, to: Settled, more: Mapping[str, Any]
) -> Link:
    """Keeps a decision and gives the case back. more: what else its history keeps.

    CaseConflict when the case is not as it was seen, or the lease has ended; where nobody held it, when
    somebody does now.
    """
    audit.hold(db)
    doing = Doing(made.actor, made.at)
    lease = _held(seen, made.at) if seen.lease.alive(made.at) else cases.c.held_until <= made.at
    _still(db, seen, lease & (cases.c.version == seen.version))
    db.execute(decisions.insert().values(tenant=seen.tenant, **_row(made)))
    values: dict[str, Any] = {
        "state": to.state.value,
        "place": to.place,
        "lease": "",
        "holder": "",
        "held_until": 0.0,
    }
    if to.finding is not None:
        values |= {"finding": to.finding.value, "decided_at": made.at, "decided_event": to.event_id}
    if more:
        values |= {"said": remarked()}
    step(db, seen.id, "decision", Change(made.actor, made.at, values, more))
    body = {
        "choice": made.choice.value,
        "reason": made.reason,
        "stage": made.stage.value,
        "state": to.state.value,
        "finding": to.finding.value if to.finding is not None else None,
    }
    return audit.append(db, entry(Act.CASE_DECIDED, seen.id, doing, body))


def follow(db: sa.Connection, case_id: str, retention: Retention, doing: Doing) -> list[Link]:
    """Sets the clocks of a case and of its clips by what was said of the cases they belong to."""
    links = []
    for evidence_id, before in _clips(db, case_id):
        after = clip_state(_cases_of(db, evidence_id))
        if after is None or before == after:
            continue
        until = retention.until(after, doing.now)
        db.execute(
            evidence.update()
            .where(evidence.c.id == evidence_id)
            .values(review=after.value, retain_until=until)
        )
        body = {"review": after.value, "until": rfc3339(until), "reason": "case", "from": before}
        links.append(audit.append(db, entry(Act.REVIEWED, evidence_id, doing, body)))
    own = clip_state(_standing(db, [case_id])) or ReviewState.UNREVIEWED
    if own is not ReviewState.UNREVIEWED:
        until = retention.until(own, doing.now)
        db.execute(cases.update().where(cases.c.id == case_id).values(retain_until=until))
    return links


def _clips(db: sa.Connection, case_id: str) -> Sequence[tuple[str, str]]:
    query = (
        sa.select(evidence.c.id, evidence.c.review)
        .join(case_clips, case_clips.c.evidence_id == evidence.c.id)
        .where(case_clips.c.case_id == case_id, evidence.c.erased_at.is_(None))
        .order_by(evidence.c.id)
    )
    return [(row.id, row.review) for row in db.execute(query)]


def _cases_of(db: sa.Connection, evidence_id: str) -> list[tuple[CaseState, Finding | None]]:
    of = sa.select(case_clips.c.case_id).where(case_clips.c.evidence_id == evidence_id)
    return _standing(db, list(db.execute(of).scalars()))


def _standing(db: sa.Connection, ids: Sequence[str]) -> list[tuple[CaseState, Finding | None]]:
    rows = db.execute(sa.select(cases.c.state, cases.c.finding).where(cases.c.id.in_(ids)))
    return [(CaseState(row.state), Finding(row.finding) if row.finding else None) for row in rows]


def _held(seen: CaseRecord, now: float) -> sa.ColumnElement[bool]:
    return (cases.c.lease == seen.lease.id) & (cases.c.held_until > now)


def _still(db: sa.Connection, seen: CaseRecord, as_seen: sa.ColumnElement[bool]) -> None:
    """Keeps the row as it is until the end of the transaction. CaseConflict when it is not as it was seen."""
    there = cases.update().where(cases.c.id == seen.id, as_seen)
    if not db.execute(there.values(id=cases.c.id)).rowcount:
        raise CaseConflict(_CHANGED)


def _row(made: DecisionRecord) -> dict[str, Any]:
    return {
        "id": made.id,
        "case_id": made.case_id,
        "stage": made.stage.value,
        "choice": made.choice.value,
        "reason": made.reason,
        "actor": made.actor,
        "at": made.at,
        "finding": made.finding.value if made.finding is not None else "",
        "rule": made.rule,
        "rule_version": made.rule_version,
        "category": made.category,
        "language": made.language,
        "level": made.level,
        "phrase": made.phrase,
        "waited_s": made.waited_s,
    }


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()

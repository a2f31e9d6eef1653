"""Appeals in the store."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from guardian.core.appeals import AppealState
from guardian.core.audit import Act, Link, canonical
from guardian.core.case_queue import Cursor
from guardian.core.case_records import AppealRecord, CaseRecord
from guardian.core.cases import Choice, Finding
from guardian.core.errors import CaseConflict, NoSuchCase
from guardian.core.violations import Role
from guardian.store import audit
from guardian.store.case_changes import Change, step
from guardian.store.case_tables import appeals, cases
from guardian.store.case_work import Settled
from guardian.store.database import Database, insert_into
from guardian.store.evidence_changes import Doing, entry

_CHANGED = "This appeal was changed in the meantime; look at it again."


class AppealStore:
    """Thread-safe; waits for the disk. Unavailable."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def find(self, appeal_id: str, tenant: str) -> AppealRecord:
        """One appeal of a tenant. NoSuchCase."""
        query = sa.select(appeals).where(appeals.c.id == appeal_id, appeals.c.tenant == tenant)
        with self._database.reading() as db:
            row = db.execute(query).first()
        if row is None:
            raise NoSuchCase("There is no such appeal.")
        return _record(row)

    def list(
        self, tenant: str, state: AppealState, after: Cursor | None, limit: int
    ) -> tuple[AppealRecord, ...]:
        """Appeals of a state, those that are due first first."""
        query = sa.select(appeals).where(appeals.c.tenant == tenant, appeals.c.state == state.value)
        if after is not None:
            place = sa.tuple_(appeals.c.due_at, appeals.c.id)
            query = query.where(place > sa.tuple_(sa.literal(after.place), sa.literal(after.id)))
        with self._database.reading() as db:
            rows = db.execute(query.order_by(appeals.c.due_at, appeals.c.id).limit(limit)).all()
        return tuple(_record(row) for row in rows)

    def of_case(self, case_id: str) -> tuple[AppealRecord, ...]:
        """The appeals of a case, in order."""
        query = sa.select(appeals).where(appeals.c.case_id == case_id).order_by(appeals.c.opened_at)
        with self._database.reading() as db:
            return tuple(_record(row) for row in db.execute(query).all())


def bring(db: sa.Connection, new: AppealRecord, seen: CaseRecord, to: Settled, doing: Doing) -> Link:
    """Opens an appeal, and the case with it. CaseConflict when this party has brought one, or the case is not
    decided any more."""
    audit.hold(db)
    here = (cases.c.id == seen.id) & (cases.c.version == seen.version)
    if not db.execute(cases.update().where(here).values(id=cases.c.id)).rowcount:
        raise CaseConflict("This case was changed in the meantime; look at it again.")
    made = db.execute(
        insert_into(db.dialect.name, appeals)
        .values(
            id=new.id,
            case_id=new.case_id,
            tenant=new.tenant,
            role=new.role.value,
            words=new.words,
            event_id=new.event_id,
            state=new.state.value,
            opened_at=new.opened_at,
            due_at=new.due_at,
            version=1,
            was=new.was.value,
            opinion="",
            judge="",
            finding="",
            reason="",
            statement="",
        )
        .on_conflict_do_nothing()
        .returning(appeals.c.id)
    ).first()
    if made is None:
        raise CaseConflict("This party has appealed in this case before.")
    values = {"state": to.state.value, "place": to.place, "lease": "", "holder": "", "held_until": 0.0}
    step(db, seen.id, "appeal", Change(doing.actor, doing.now, values, {"role": new.role.value}))
    return audit.append(
        db, entry(Act.APPEAL_OPENED, new.id, doing, {"case": seen.id, "role": new.role.value})
    )


def judge(db: sa.Connection, seen: AppealRecord, opinion: Choice, doing: Doing) -> Link:
    """Keeps what somebody thinks of the case. CaseConflict."""
    audit.hold(db)
    values = {"opinion": opinion.value, "judge": doing.actor, "state": AppealState.JUDGED.value}
    _change(db, seen, values)
    body = {"case": seen.case_id, "opinion": opinion.value}
    return audit.append(db, entry(Act.APPEAL_JUDGED, seen.id, doing, body))


def settle(db: sa.Connection, seen: AppealRecord, after: AppealRecord, to: Settled, doing: Doing) -> Link:
    """Keeps what became of an appeal, and of its case. CaseConflict."""
    audit.hold(db)
    values = {
        "state": AppealState.DECIDED.value,
        "finding": after.finding,
        "reason": after.reason,
        "decided_at": doing.now,
        "statement": canonical(after.statement),
    }
    _change(db, seen, values)
    assert to.finding is not None
    case = {
        "state": to.state.value,
        "place": to.place,
        "finding": to.finding.value,
        "lease": "",
        "holder": "",
        "held_until": 0.0,
    }
    step(db, seen.case_id, "appeal_decided", Change(doing.actor, doing.now, case))
    body = {"case": seen.case_id, "outcome": after.finding, "finding": to.finding.value}
    return audit.append(db, entry(Act.APPEAL_DECIDED, seen.id, doing, body))


def _change(db: sa.Connection, seen: AppealRecord, values: Mapping[str, Any]) -> None:
    here = (appeals.c.id == seen.id) & (appeals.c.version == seen.version)
    done = db.execute(appeals.update().where(here).values(version=seen.version + 1, **values))
    if not done.rowcount:
        raise CaseConflict(_CHANGED)


def _record(row: sa.Row[Any]) -> AppealRecord:
    return AppealRecord(
        id=row.id,
        case_id=row.case_id,
        tenant=row.tenant,
        role=Role(row.role),
        words=row.words,
        event_id=row.event_id,
        state=AppealState(row.state),
        opened_at=row.opened_at,
        due_at=row.due_at,
        version=row.version,
        was=Finding(row.was),
        opinion=row.opinion,
        judge=row.judge,
        finding=row.finding,
        reason=row.reason,
        decided_at=row.decided_at,
        statement=json.loads(row.statement or "{}"),
    )

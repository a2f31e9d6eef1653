"""Cases in the store, as they are read."""

from __future__ import annotations

import heapq
import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from guardian.core.audit import canonical
from guardian.core.case_records import CaseRecord, CaseSearch, DecisionRecord, HistoryRow
from guardian.core.cases import CLAIMABLE, WAITING, CaseKind, CaseState, Choice, Finding, Lease
from guardian.core.errors import NoSuchCase
from guardian.core.violations import Level, Role
from guardian.store.case_changes import REMARKS
from guardian.store.case_tables import case_clips, case_history, cases, decisions
from guardian.store.database import Database

ANYBODY, NOBODY = "*", "-"
_MOST_NEWS, _MOST_REMARKS = 50, 200


class CaseStore:
    """Thread-safe; waits for the disk. Every method raises Unavailable when the store does not do it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def find(self, case_id: str, tenant: str) -> CaseRecord:
        """One case of a tenant. NoSuchCase."""
        with self._database.reading() as db:
            return find(db, case_id, tenant)

    def search(self, wanted: CaseSearch) -> tuple[CaseRecord, ...]:
        """Cases by their places in the lists of their states, what waits by urgency."""
        with self._database.reading() as db:
            if wanted.q:
                return _by_id(db, wanted)
            pages = [_page(db, wanted, state) for state in wanted.states]
        merged = heapq.merge(*pages, key=lambda one: (one.place, one.id))
        return tuple(merged)[: wanted.limit]

    def next(self, wanted: CaseSearch, besides: Collection[str]) -> tuple[CaseRecord, ...]:
        """The most urgent cases that nobody has claimed and `wanted.holder` has not decided in."""
        mine = sa.exists().where(decisions.c.case_id == cases.c.id, decisions.c.actor == wanted.holder)
        found: list[CaseRecord] = []
        with self._database.reading() as db:
            for state in wanted.states:
                query = _chosen(wanted, state).where(
                    cases.c.held_until <= wanted.now, ~mine, cases.c.id.not_in(besides)
                )
                found += _records(db, query.order_by(cases.c.place, cases.c.id).limit(wanted.limit))
        return tuple(sorted(found, key=lambda one: (one.place, one.id))[: wanted.limit])

    def decisions(self, case_id: str) -> tuple[DecisionRecord, ...]:
        """What was decided in a case, in order."""
        with self._database.reading() as db:
            return decided_in(db, case_id)

    def history(self, case_id: str, after: int = 0) -> tuple[HistoryRow, ...]:
        """What was done in a case after a version, in order; the latest of it where that is much."""
        query = sa.select(case_history).where(case_history.c.version > after)
        return self._done(case_id, query, _MOST_NEWS)

    def remarks(self, case_id: str) -> tuple[HistoryRow, ...]:
        """What people have remarked in a case, in order; the latest of it where that is much."""
        query = sa.select(case_history).where(
            case_history.c.what.in_(REMARKS), case_history.c.detail != canonical({})
        )
        return self._done(case_id, query, _MOST_REMARKS)

    def _done(self, case_id: str, query: sa.Select[Any], most: int) -> tuple[HistoryRow, ...]:
        here = query.where(case_history.c.case_id == case_id)
        with self._database.reading() as db:
            rows = db.execute(here.order_by(case_history.c.version.desc()).limit(most)).all()
        return tuple(
            HistoryRow(row.version, row.what, row.actor, row.at, json.loads(row.detail or "{}"))
            for row in reversed(rows)
        )

    def clips(self, case_id: str) -> tuple[tuple[str, float | None], ...]:
        """(evidence id, when it was erased) of the clips of a case."""
        query = (
            sa.select(case_clips.c.evidence_id, case_clips.c.gone_at)
            .where(case_clips.c.case_id == case_id)
            .order_by(case_clips.c.evidence_id)
        )
        with self._database.reading() as db:
            return tuple((row.evidence_id, row.gone_at) for row in db.execute(query))

    def parties(self, tenant: str, names: Collection[str]) -> Mapping[str, Mapping[str, int]]:
        """By party and finding: how many cases about them were settled."""
        query = (
            sa.select(cases.c.party, cases.c.finding, sa.func.count())
            .where(cases.c.tenant == tenant, cases.c.party.in_(names), cases.c.finding != "")
            .group_by(cases.c.party, cases.c.finding)
        )
        found: dict[str, dict[str, int]] = {}
        with self._database.reading() as db:
            for party, finding, count in db.execute(query):
                found.setdefault(party, {})[finding] = count
        return found

    def of_party(self, record: CaseRecord, limit: int) -> tuple[CaseRecord, ...]:
        """Other settled cases about the same party, the latest first."""
        query = (
            sa.select(cases)
            .where(
                cases.c.tenant == record.tenant,
                cases.c.party == record.party,
                cases.c.finding != "",
                cases.c.id != record.id,
            )
            .order_by(cases.c.made_at.desc())
            .limit(limit)
        )
        with self._database.reading() as db:
            return _records(db, query) if record.party else ()

    def waiting(self, tenant: str) -> Mapping[str, tuple[int, float]]:
        """By state that is not over: how many cases stand there, and when the oldest of them came."""
        query = (
            sa.select(cases.c.state, sa.func.count(), sa.func.min(cases.c.made_at))
            .where(cases.c.tenant == tenant, cases.c.state.in_(sorted(CLAIMABLE)))
            .group_by(cases.c.state)
        )
        with self._database.reading() as db:
            return {state: (count, oldest) for state, count, oldest in db.execute(query)}

    def newest(self, tenant: str, limit: int) -> tuple[float, ...]:
        """When the latest of the cases that wait came, the latest first."""
        with self._database.reading() as db:
            times = [
                at
                for state in WAITING
                for at in db.execute(
                    sa.select(cases.c.made_at)
                    .where(cases.c.tenant == tenant, cases.c.state == state.value)
                    .order_by(cases.c.made_at.desc())
                    .limit(limit)
                ).scalars()
            ]
        return tuple(sorted(times, reverse=True)[:limit])


def find(db: sa.Connection, case_id: str, tenant: str) -> CaseRecord:
    """One case of a tenant. NoSuchCase."""
    found = _records(db, sa.select(cases).where(cases.c.id == case_id, cases.c.tenant == tenant))
    if not found:
        raise NoSuchCase("There is no such case.")
    return found[0]


def decided_in(db: sa.Connection, case_id: str) -> tuple[DecisionRecord, ...]:
    """What was decided in a case, in order."""
    query = sa.select(decisions).where(decisions.c.case_id == case_id)
    return decision_records(db.execute(query.order_by(decisions.c.at, decisions.c.id)).all())


def decision_records(rows: Sequence[sa.Row[Any]]) -> tuple[DecisionRecord, ...]:
    """As the core has them."""
    return tuple(
        DecisionRecord(
            id=row.id,
            case_id=row.case_id,
            stage=CaseState(row.stage),
            choice=Choice(row.choice),
            reason=row.reason,
            actor=row.actor,
            at=row.at,
            finding=Finding(row.finding) if row.finding else None,
            rule=row.rule,
            rule_version=row.rule_version,
            category=row.category,
            language=row.language,
            level=row.level,
            phrase=row.phrase,
            waited_s=row.waited_s,
        )
        for row in rows
    )


def _page(db: sa.Connection, wanted: CaseSearch, state: CaseState) -> tuple[CaseRecord, ...]:
    query = _chosen(wanted, state)
    if wanted.holder == ANYBODY:
        query = query.where(cases.c.held_until > wanted.now)
    elif wanted.holder == NOBODY:
        query = query.where(cases.c.held_until <= wanted.now)
    elif wanted.holder:
        query = query.where(cases.c.holder == wanted.holder, cases.c.held_until > wanted.now)
    if wanted.after is not None:
        after = sa.tuple_(sa.literal(wanted.after.place), sa.literal(wanted.after.id))
        query = query.where(sa.tuple_(cases.c.place, cases.c.id) > after)
    return _records(db, query.order_by(cases.c.place, cases.c.id).limit(wanted.limit))


def _chosen(wanted: CaseSearch, state: CaseState) -> sa.Select[Any]:
    query = sa.select(cases).where(cases.c.tenant == wanted.tenant, cases.c.state == state.value)
    if wanted.kind is not None:
        query = query.where(cases.c.kind == wanted.kind.value)
    if wanted.level is not None:
        query = query.where(cases.c.level == wanted.level.value)
    if wanted.category:
        # A category, or all of a family: `contact_exchange`, `contact_exchange.wechat`.
        family = cases.c.category.startswith(f"{wanted.category}.", autoescape=True)
        query = query.where((cases.c.category == wanted.category) | family)
    if wanted.language:
        query = query.where(cases.c.language == wanted.language)
    if wanted.rule:
        query = query.where(cases.c.rule == wanted.rule)
    return query


def _by_id(db: sa.Connection, wanted: CaseSearch) -> tuple[CaseRecord, ...]:
    """Cases that bear an id, or whose call or cause does. One index for each: together they find no one."""
    found: dict[str, CaseRecord] = {}
    for column in (cases.c.id, cases.c.call_id, cases.c.cause):
        query = sa.select(cases).where(cases.c.tenant == wanted.tenant, column == wanted.q)
        found |= {one.id: one for one in _records(db, query.limit(wanted.limit))}
    chosen = [one for one in found.values() if one.state in wanted.states]
    return tuple(sorted(chosen, key=lambda one: (one.place, one.id))[: wanted.limit])


def _records(db: sa.Connection, query: sa.Select[Any]) -> tuple[CaseRecord, ...]:
    return tuple(
        CaseRecord(
            id=row.id,
            tenant=row.tenant,
            kind=CaseKind(row.kind),
            cause=row.cause,
            event_id=row.event_id,
            call_id=row.call_id,
            role=Role(row.role),
            party=row.party,
            other=row.other,
            level=Level(row.level),
            category=row.category,
            language=row.language,
            rule=row.rule,
            hits=row.hits,
            state=CaseState(row.state),
            place=row.place,
            made_at=row.made_at,
            due_at=row.due_at,
            version=row.version,
            lease=Lease(row.holder, row.lease, row.held_until),
            finding=Finding(row.finding) if row.finding else None,
            decided_at=row.decided_at,
            decided_event=row.decided_event,
            facts=json.loads(row.facts or "{}"),
            said=json.loads(row.said or "{}"),
            retain_until=row.retain_until,
        )
        for row in db.execute(query)
    )

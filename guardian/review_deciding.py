"""What comes of a decision: the case's state, the clocks of its clips, and what is told of it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import sqlalchemy as sa

from guardian.core.audit import Link
from guardian.core.calls import CallEventType
from guardian.core.case_queue import place
from guardian.core.case_records import CaseRecord, CaseSearch, DecisionRecord
from guardian.core.cases import CaseKind, Choice, Finding, Next, Said, Standing, decided, needs_second
from guardian.core.errors import CaseConflict, CaseRefused
from guardian.core.people import Permission
from guardian.core.review_desk import DecisionWish, Reviewer, Sweep
from guardian.core.times import rfc3339
from guardian.core.violations import Level
from guardian.events.ulid import ulid
from guardian.review_work import ReviewWork, Telling
from guardian.store import case_work
from guardian.store.case_work import Settled
from guardian.store.cases import NOBODY

MOST_AT_ONCE = 200


class Deciding:
    """Writes decisions."""

    def __init__(self, work: ReviewWork) -> None:
        self._work = work
        self._parts = work.parts

    def decide(self, who: Reviewer, case_id: str, wish: DecisionWish) -> dict[str, Any]:
        """Decides a case that whoever asks holds, as they saw it."""
        if wish.actions and wish.choice is not Choice.CONFIRM:
            raise CaseRefused("Actions can be asked for with a confirmation only.")
        record = self._work.held(who, case_id, wish.lease, wish.version)
        if record.version != wish.version:
            raise self._work.conflict(record, "This case has changed; look at what is new.", wish.version)
        self._work.check(who, record)
        finish, told = self._begun(who, record, wish)
        finish()
        return told

    def _begun(
        self, who: Reviewer, record: CaseRecord, wish: DecisionWish
    ) -> tuple[Callable[[], None], dict[str, Any]]:
        """What waits for a decision, and what is told of it then."""
        earlier = tuple(one.said for one in self._work.store.decisions(record.id))
        two = needs_second(record.id, record.level, self._parts.terms)
        said = Said(wish.choice, wish.reason, who.text)
        try:
            after = decided(Standing(record.state, earlier, two), said)
        except CaseConflict as error:
            raise self._work.conflict(record, str(error)) from error
        doing = self._work.doing(who)
        made = _decision(record, said, after, doing.now)
        event_id = ulid()
        at = place(after.state, record.rank(self._parts.terms), doing.now)
        to = Settled(after.state, at, after.finding, event_id if after.finding is not None else "")

        def also(db: sa.Connection) -> list[Link]:
            link = case_work.decide(db, record, made, to, {"note": wish.note} if wish.note else {})
            more = case_work.follow(db, record.id, self._parts.retention, doing) if after.finding else []
            return [link, *more]

        people = {one.by for one in earlier} | {who.text}
        tell = [self._decided(record, made, after.finding, len(people), event_id)] if after.finding else []
        actions = [_action(record, action.value, wish.reason, doing.now) for action in wish.actions]
        told = {
            "case_id": record.id,
            "state": after.state.value,
            "finding": after.finding.value if after.finding is not None else None,
            "version": record.version + 1,
            "event_id": event_id if after.finding is not None else None,
        }
        return self._work.begin(record, also, *tell, *actions), told

    def _decided(
        self, record: CaseRecord, made: DecisionRecord, finding: Finding, people: int, event_id: str
    ) -> Telling:
        data = {
            "case_id": record.id,
            "causes": [record.cause],
            "decision": finding.value,
            "reason": made.reason,
            "people": people,
            "decided_at": rfc3339(made.at),
            "appeal_until": rfc3339(made.at + self._parts.terms.appeal_s),
        }
        return Telling(CallEventType.REVIEW_DECIDED, data, made.at, event_id)

    def dismiss(self, who: Reviewer, sweep: Sweep, wanted: CaseSearch) -> dict[str, Any]:
        """Dismisses the cases that are meant, if they are as many as whoever asks was told.

        Urgent ones and complaints are looked at one by one; cases that two people decide get their first
        decision. What somebody claims, or what changes, meanwhile is left out.
        """
        if not who.may(Permission.CASES_BULK):
            raise CaseRefused("Your roles do not allow to dismiss many cases at once.")
        wanted = replace(
            wanted,
            kind=CaseKind.VIOLATION,
            level=Level.REVIEW,
            holder=NOBODY,
            after=None,
            limit=MOST_AT_ONCE + 1,
        )
        found = self._work.store.search(wanted)
        count = min(len(found), MOST_AT_ONCE)
        told = {"count": count, "more": len(found) > MOST_AT_ONCE, "dismissed": 0, "left_out": 0}
        if sweep.count is None:
            return told
        if sweep.count != count:
            message = f"There are {count} such cases now, not {sweep.count}; confirm that number."
            raise CaseConflict(message, told)
        begun = []
        for record in found[:count]:
            wish = DecisionWish("", record.version, Choice.DISMISS, sweep.reason, sweep.note)
            with suppress(CaseConflict, CaseRefused):
                begun.append(self._begun(who, record, wish)[0])
        done = 0
        for finish in begun:
            with suppress(CaseConflict):
                finish()
                done += 1
        return {**told, "dismissed": done, "left_out": count - done}


def _decision(record: CaseRecord, said: Said, after: Next, at: float) -> DecisionRecord:
    return DecisionRecord(
        id=f"decision_{ulid()}",
        case_id=record.id,
        stage=record.state,
        choice=said.choice,
        reason=said.reason,
        actor=said.by,
        at=at,
        finding=after.finding,
        rule=record.rule,
        rule_version=str(record.facts.get("rule_version", "")),
        category=record.category,
        language=record.language,
        level=record.level.value,
        phrase=str(record.said.get("phrase", "")),
        waited_s=max(0.0, at - record.made_at),
    )


def _action(record: CaseRecord, action: str, reason: str, at: float) -> Telling:
    role = None if action == "end" else record.role.value
    data = {"action": action, "role": role, "reason": reason, "case_id": record.id}
    return Telling(CallEventType.ACTION_REQUESTED, data, at)

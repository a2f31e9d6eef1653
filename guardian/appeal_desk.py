"""Answers for appeals: brought through the call service, judged by somebody who has not decided the case."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import sqlalchemy as sa

from guardian import review_views as views
from guardian.core.appeals import (
    AppealChoice,
    AppealFinding,
    AppealState,
    Grounds,
    check_judge,
    settled,
    statement,
)
from guardian.core.audit import Act, Link
from guardian.core.calls import CallEventType
from guardian.core.case_queue import Cursor, cursor_from, place
from guardian.core.case_records import AppealRecord, CaseRecord
from guardian.core.cases import CaseState, Choice
from guardian.core.errors import CaseRefused
from guardian.core.people import Permission
from guardian.core.review_desk import AppealList, AppealWish, Judgement, Reviewer
from guardian.core.times import rfc3339
from guardian.events.ulid import ulid
from guardian.review_work import ReviewParts, ReviewWork, Telling
from guardian.store import appeals as changes
from guardian.store import case_work
from guardian.store.appeals import AppealStore
from guardian.store.case_work import Settled
from guardian.store.evidence_changes import Doing

_CHOICES = {
    AppealFinding.UPHELD: AppealChoice.UPHOLD,
    AppealFinding.OVERTURNED: AppealChoice.OVERTURN,
}


class ServerAppeals:
    """`guardian.core.review_desk.AppealDesk`."""

    def __init__(self, parts: ReviewParts) -> None:
        self._work = ReviewWork(parts)
        self._parts = parts
        self._store = AppealStore(parts.database)

    def open(self, who: Reviewer, wish: AppealWish) -> dict[str, Any]:
        """Brings an appeal against a decision, within the time there is for it, once for each party."""
        record = self._work.store.find(wish.case_id, who.tenant)
        doing = self._work.doing(who)
        if record.state is not CaseState.DECIDED or record.finding is None or record.decided_at is None:
            raise self._work.conflict(record, "There is no decision in this case to appeal against.")
        if not record.call_id:
            raise self._work.conflict(record, "Whom this case was about has been forgotten.")
        if doing.now > record.decided_at + self._parts.terms.appeal_s:
            raise self._work.conflict(record, "The time for an appeal in this case is over.")
        made = AppealRecord(
            id=f"appeal_{ulid()}",
            case_id=record.id,
            tenant=record.tenant,
            role=wish.role,
            words=wish.words,
            event_id=ulid(),
            state=AppealState.OPEN,
            opened_at=doing.now,
            due_at=round(doing.now + self._parts.terms.appeal_due_s, 3),
            version=1,
            was=record.finding,
            opinion="",
            judge="",
            finding="",
            reason="",
            decided_at=None,
            statement={},
        )
        state = CaseState.APPEALED
        to = Settled(state, place(state, record.rank(self._parts.terms), doing.now), record.finding)

        def also(db: sa.Connection) -> list[Link]:
            link = changes.bring(db, made, record, to, doing)
            return [link, *case_work.follow(db, record.id, self._parts.retention, doing)]

        data = {
            "appeal_id": made.id,
            "case_id": record.id,
            "causes": [record.cause],
            "role": made.role.value,
            "opened_at": rfc3339(doing.now),
            "cause_event_id": record.decided_event,
        }
        telling = Telling(CallEventType.APPEAL_OPENED, data, doing.now, made.event_id)
        self._work.write(record, also, telling)
        return self._row(made)

    def list(self, who: Reviewer, wanted: AppealList) -> dict[str, Any]:
        """Appeals of a state, those that are due first first."""
        found = self._store.list(who.tenant, wanted.state, cursor_from(wanted.after), wanted.limit)
        last = found[-1] if len(found) == wanted.limit else None
        return {
            "appeals": [self._row(one) for one in found],
            "next": Cursor(last.due_at, last.id).text if last is not None else None,
        }

    def show(self, who: Reviewer, appeal_id: str) -> dict[str, Any]:
        """One appeal; what was decided is folded away until whoever asks has an opinion."""
        appeal = self._store.find(appeal_id, who.tenant)
        record = self._work.store.find(appeal.case_id, who.tenant)
        made = self._work.store.decisions(record.id)
        known = appeal.judge == who.text or appeal.state is AppealState.DECIDED
        act = Act.CASE_OPENED if known else Act.CASE_VIEWED
        self._work.tell(who, act, record, {"appeal": appeal.id})
        return {
            **self._row(appeal),
            "words": appeal.words if who.may(Permission.APPEALS_JUDGE) else None,
            "folded": not known,
            "was": appeal.was.value if known else None,
            "decisions": [views.decision(one) for one in made] if known else None,
            "mine": {
                "judge": appeal.judge == who.text,
                "decided_before": who.text in self._work.deciders(record.id),
            },
        }

    def opinion(self, who: Reviewer, appeal_id: str, choice: Choice, version: int) -> dict[str, Any]:
        """Says what one thinks of the case; needs the case, as it is to be looked at for that."""
        appeal, record = self._judged_by(who, appeal_id, version)
        if choice is Choice.ESCALATE:
            raise CaseRefused("An appeal is judged here; say what you think of the case.")
        if appeal.judge == who.text:
            raise self._work.conflict(record, "You have said what you think of this case; decide the appeal.")
        doing = self._work.doing(who)

        def also(db: sa.Connection) -> list[Link]:
            case_work.hold(db, record, doing.now)
            return [changes.judge(db, appeal, choice, doing)]

        self._work.write(record, also)
        return self.show(who, appeal_id)

    def decide(self, who: Reviewer, appeal_id: str, judgement: Judgement) -> dict[str, Any]:
        """Upholds or overturns the decision; by whoever has an opinion of their own."""
        appeal, record = self._judged_by(who, appeal_id, judgement.version)
        if appeal.judge != who.text:
            raise CaseRefused("Say first what you think of this case; what was decided is told then.")
        doing = self._work.doing(who)
        outcome, finding = settled(judgement.choice, appeal.was)
        draft = judgement.statement or self._statement(appeal, record, outcome, doing)
        after = replace(
            appeal,
            state=AppealState.DECIDED,
            finding=outcome.value,
            reason=judgement.reason,
            decided_at=doing.now,
            statement=draft,
        )
        to = Settled(CaseState.DECIDED, place(CaseState.DECIDED, 0.0, doing.now), finding)

        def also(db: sa.Connection) -> list[Link]:
            case_work.hold(db, record, doing.now)
            link = changes.settle(db, appeal, after, to, doing)
            return [link, *case_work.follow(db, record.id, self._parts.retention, doing)]

        data = {
            "appeal_id": appeal.id,
            "case_id": record.id,
            "causes": [record.cause],
            "role": appeal.role.value,
            "decision": outcome.value,
            "finding": finding.value,
            "reason": judgement.reason,
            "decided_at": rfc3339(doing.now),
            "cause_event_id": appeal.event_id,
        }
        self._work.write(record, also, Telling(CallEventType.APPEAL_DECIDED, data, doing.now))
        return self.show(who, appeal_id) | {"statement": dict(draft)}

    def draft(self, who: Reviewer, appeal_id: str) -> dict[str, Any]:
        """What the party would be told if the decision were upheld, and if it were overturned."""
        appeal = self._store.find(appeal_id, who.tenant)
        if appeal.judge != who.text and appeal.state is not AppealState.DECIDED:
            raise CaseRefused("Say first what you think of this case; what was decided is told then.")
        record = self._work.store.find(appeal.case_id, who.tenant)
        doing = self._work.doing(who)
        return {
            outcome.value: dict(self._statement(appeal, record, outcome, doing)) for outcome in AppealFinding
        }

    def _judged_by(self, who: Reviewer, appeal_id: str, version: int) -> tuple[AppealRecord, CaseRecord]:
        """The appeal and its case, for somebody who may judge it and holds the case. CaseConflict."""
        if not who.may(Permission.APPEALS_JUDGE):
            raise CaseRefused("Your roles do not allow to judge appeals.")
        appeal = self._store.find(appeal_id, who.tenant)
        record = self._work.store.find(appeal.case_id, who.tenant)
        check_judge(who.text, self._work.deciders(record.id))
        if appeal.state is AppealState.DECIDED:
            raise self._work.conflict(record, "This appeal has been decided.")
        if appeal.version != version:
            raise self._work.conflict(record, "This appeal has changed; look at it again.")
        if not (record.lease.alive(self._parts.now()) and record.lease.holder == who.text):
            raise self._work.conflict(record, "Claim the case of this appeal before you judge it.")
        return appeal, record

    def _statement(
        self, appeal: AppealRecord, record: CaseRecord, outcome: AppealFinding, doing: Doing
    ) -> dict[str, Any]:
        overturned = outcome is AppealFinding.OVERTURNED
        people = self._work.deciders(record.id) | {doing.actor}
        _, finding = settled(_CHOICES[outcome], appeal.was)
        facts = record.facts
        made = statement(
            Grounds(
                case_id=record.id,
                call_id=record.call_id,
                kind=record.kind.value,
                category=record.category,
                rule=record.rule,
                rule_version=str(facts.get("rule_version") or ""),
                clause=str(facts.get("clause") or ""),
                seconds=float(facts.get("t_start", 0.0)),
                finding=finding,
                outcome=outcome,
                people=len(people),
                until="" if overturned else rfc3339(record.retain_until),
            )
        )
        return dict(made)

    def _row(self, appeal: AppealRecord) -> dict[str, Any]:
        decided = appeal.state is AppealState.DECIDED
        return {
            "appeal_id": appeal.id,
            "case_id": appeal.case_id,
            "role": appeal.role.value,
            "state": appeal.state.value,
            "opened_at": rfc3339(appeal.opened_at),
            "due_at": rfc3339(appeal.due_at),
            "overdue": not decided and self._parts.now() > appeal.due_at,
            "version": appeal.version,
            "outcome": appeal.finding or None,
            "decided_at": rfc3339(appeal.decided_at) if appeal.decided_at is not None else None,
            "statement": dict(appeal.statement) if decided else None,
        }

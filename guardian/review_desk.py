"""Answers for cases: which wait, what is known of each, and who looks at it now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from guardian import review_views as views
from guardian.core.audit import Act, Link
from guardian.core.calls import CallEventType
from guardian.core.case_queue import Cursor, cursor_from
from guardian.core.case_records import CaseRecord, CaseSearch, DecisionRecord
from guardian.core.cases import WAITING, CaseState, Lease
from guardian.core.errors import CaseConflict, CaseRefused, GuardianError, NoSuchEvidence
from guardian.core.evidence_facts import told
from guardian.core.exposure import Exposure, exposure
from guardian.core.masking import masked
from guardian.core.people import Permission
from guardian.core.review_desk import PULSE_MOST, DecisionWish, PastHit, Pulse, Queue, Reviewer, Sweep
from guardian.core.times import rfc3339
from guardian.events.ulid import ulid
from guardian.review_deciding import Deciding
from guardian.review_work import ReviewParts, ReviewWork, Telling
from guardian.store import case_work
from guardian.store.cases import ANYBODY, NOBODY
from guardian.store.plays import PlayLog
from guardian.store.review_figures import ReviewFigures

_TRIES, _ROUNDS = 20, 10
"""How many of the most urgent cases are tried, and how often anew, before there is none to be had."""
_EARLIER = 20
_HOLDERS = {"anybody": ANYBODY, "nobody": NOBODY}


class ServerReview:
    """`guardian.core.review_desk.ReviewDesk`."""

    def __init__(self, parts: ReviewParts) -> None:
        self._work = ReviewWork(parts)
        self._parts = parts
        self._store = self._work.store
        self._deciding = Deciding(self._work)
        self._figures = ReviewFigures(parts.database)
        self._plays = PlayLog(parts.database)

    # --- looking ------------------------------------------------------------------------------

    def list(self, who: Reviewer, queue: Queue) -> dict[str, Any]:
        """Cases by urgency."""
        now = self._parts.now()
        found = self._store.search(self._search(who, queue, now))
        known = self._store.parties(who.tenant, {one.party for one in found if one.party})
        rows = [
            {**views.row(one, who, now, self._parts.terms), "party": views.counts(one, known.get(one.party))}
            for one in found
        ]
        last = found[-1] if len(found) == queue.limit else None
        return {"cases": rows, "next": Cursor(last.place, last.id).text if last is not None else None}

    def show(self, who: Reviewer, case_id: str) -> dict[str, Any]:
        """All that is needed to decide."""
        record = self._store.find(case_id, who.tenant)
        mine = record.lease.alive(self._parts.now()) and record.lease.holder == who.text
        self._work.tell(who, Act.CASE_VIEWED, record, {"version": record.version, "whole": mine})
        rows = self._store.history(record.id)
        made = self._store.decisions(record.id)
        folded = self._folded(who, record, made)
        rule = self._parts.rule_of(record.tenant, record.rule) if record.rule else None
        clips = [self._clip(who, record, evidence_id) for evidence_id, _ in self._store.clips(record.id)]
        decided = record.state is CaseState.DECIDED
        return {
            **views.row(record, who, self._parts.now(), self._parts.terms),
            "cause": record.cause,
            "call": views.call(record),
            "participants": {record.role.value: record.party, record.role.other.value: record.other}
            if decided
            else None,
            "hit": views.hit(record, rule),
            "complaint": record.facts.get("complaint"),
            "clips": [self._opened(who, clip) for clip in clips] if mine else clips,
            "decisions": {"count": len(made), "folded": folded},
            "party": views.counts(record, self._store.parties(who.tenant, [record.party]).get(record.party)),
            "notes": [] if folded else views.notes(self._store.remarks(record.id), str if mine else masked),
            "history": views.history(rows),
            "lease": self._lease(record) if mine else None,
        }

    def earlier(self, who: Reviewer, case_id: str) -> dict[str, Any]:
        """Decisions that were made before."""
        record = self._store.find(case_id, who.tenant)
        made = self._store.decisions(record.id)
        if self._folded(who, record, made):
            raise CaseRefused("Say first what you think of this case; what others have said is told then.")
        self._work.tell(who, Act.CASE_OPENED, record, {"decisions": len(made)})
        now = self._parts.now()
        others = self._store.of_party(record, _EARLIER)
        return {
            "case_id": record.id,
            "decisions": [views.decision(one) for one in made],
            "party": [views.row(one, who, now, self._parts.terms) for one in others],
        }

    def hits(self, who: Reviewer, rule: str, days: int) -> Sequence[PastHit]:
        """What a rule has hit in cases that are settled."""
        return self._figures.hits(who.tenant, rule, self._parts.now() - days * 86_400.0)

    def report(self, who: Reviewer, days: int) -> dict[str, Any]:
        """How review goes."""
        now = self._parts.now()
        return {
            **self._figures.report(who.tenant, now - days * 86_400.0),
            "days": days,
            "queue": {
                state: {"cases": count, "oldest_s": round(now - oldest)}
                for state, (count, oldest) in self._store.waiting(who.tenant).items()
            },
        }

    def pulse(self, who: Reviewer) -> Pulse:
        """What waits, in numbers."""
        waiting = {state: count for state, (count, _) in self._store.waiting(who.tenant).items()}
        return Pulse(self._parts.now(), waiting, self._store.newest(who.tenant, PULSE_MOST))

    def exposure(self, who: Reviewer, since: float) -> Exposure:
        """What whoever asks has played since then."""
        return exposure(self._plays.plays(who.text, since), self._parts.now(), self._parts.terms)

    def _clip(self, who: Reviewer, record: CaseRecord, evidence_id: str) -> dict[str, Any]:
        """A clip of the case, without a word of what is said in it."""
        try:
            clip = told(self._parts.clips.record(who.principal, evidence_id), self._parts.now())
        except NoSuchEvidence:
            return {"evidence_id": evidence_id, "state": "erased", "notes": None}
        names = clip["participants"] if record.state is CaseState.DECIDED else None
        return {**clip, "participants": names, "notes": None}

    def _opened(self, who: Reviewer, clip: dict[str, Any]) -> dict[str, Any]:
        """The clip with what is said in it, for who has claimed the case."""
        if clip["state"] != "kept" or not who.may(Permission.MEDIA_PLAY):
            return clip
        try:
            return {**clip, "notes": self._parts.clips.notes(who.principal, clip["evidence_id"])}
        except GuardianError as error:
            # The case can be decided, or passed on, without it.
            return {**clip, "notes_fault": str(error)}

    def _folded(self, who: Reviewer, record: CaseRecord, made: Sequence[DecisionRecord]) -> bool:
        """Whether what was decided is not told to whoever asks, so that they think for themselves."""
        if record.state is CaseState.APPEALED:
            return True
        blind = record.state is CaseState.SECOND_REVIEW
        return blind and not any(one.actor == who.text for one in made)

    # --- claiming -----------------------------------------------------------------------------

    def next(self, who: Reviewer, queue: Queue, besides: Sequence[str]) -> dict[str, Any]:
        """Claims the most urgent case."""
        mine = WAITING if who.may(Permission.CASES_SECOND) else (CaseState.OPEN,)
        states = tuple(state for state in mine if state in queue.states)
        wanted = self._search(
            who, replace(queue, states=states, claimed_by="me", after=""), self._parts.now()
        )
        for _ in range(_ROUNDS):
            found = self._store.next(replace(wanted, limit=_TRIES, now=self._parts.now()), besides)
            for record in found:
                try:
                    return {"case": self._claimed(who, record, "")}
                except CaseConflict:
                    continue  # Somebody was quicker.
            if len(found) < _TRIES:
                break
        return {"case": None}

    def claim(self, who: Reviewer, case_id: str) -> dict[str, Any]:
        """Claims a case; who holds it already goes on holding it."""
        record = self._store.find(case_id, who.tenant)
        self._work.check(who, record)
        now = self._parts.now()
        if not record.lease.alive(now):
            return self._claimed(who, record, "")
        if record.lease.holder != who.text:
            raise self._work.conflict(record, "Somebody else has claimed this case.")
        return self.renew(who, case_id, record.lease.id)

    def take_over(self, who: Reviewer, case_id: str, why: str) -> dict[str, Any]:
        """Claims a case that somebody else holds."""
        record = self._store.find(case_id, who.tenant)
        self._work.check(who, record)
        if not who.may(Permission.CASES_SECOND):
            raise CaseRefused("Your roles do not allow to take a case over.")
        if not record.lease.alive(self._parts.now()) or record.lease.holder == who.text:
            return self.claim(who, case_id)
        return self._claimed(who, record, why)

    def renew(self, who: Reviewer, case_id: str, lease: str) -> dict[str, Any]:
        """Lets a claim last longer."""
        record = self._work.held(who, case_id, lease)
        now = self._parts.now()
        until = now + self._parts.terms.lease_s
        try:
            with self._parts.database.writing() as db:
                case_work.renew(db, record, until, now)
        except CaseConflict as error:
            raise self._work.conflict(self._store.find(case_id, who.tenant), str(error)) from error
        return self._lease(replace(record, lease=replace(record.lease, until=until)))

    def release(self, who: Reviewer, case_id: str, lease: str) -> dict[str, Any]:
        """Gives a case back."""
        record = self._work.held(who, case_id, lease)
        doing = self._work.doing(who)
        self._work.write(record, lambda db: [case_work.release(db, record, doing)])
        return {"case_id": case_id, "released": True}

    def _claimed(self, who: Reviewer, record: CaseRecord, why: str) -> dict[str, Any]:
        doing = self._work.doing(who)
        lease = Lease(who.text, f"lease_{ulid()}", doing.now + self._parts.terms.lease_s)
        data = {
            "case_id": record.id,
            "causes": [record.cause],
            "state": record.state.value,
            "taken_over": bool(why),
            "until": rfc3339(lease.until),
        }
        self._work.write(
            record,
            lambda db: [case_work.claim(db, record, lease, doing, why)],
            Telling(CallEventType.REVIEW_CLAIMED, data, doing.now),
        )
        return self._lease(self._store.find(record.id, record.tenant))

    # --- saying -------------------------------------------------------------------------------

    def note(self, who: Reviewer, case_id: str, text: str) -> dict[str, Any]:
        """Keeps a remark."""
        record = self._store.find(case_id, who.tenant)
        doing = self._work.doing(who)
        if not record.call_id or record.retain_until <= doing.now:
            raise self._work.conflict(record, "The time of what was said here is over; no remark is kept.")
        versions: list[int] = []

        def also(db: Any) -> list[Link]:
            version, link = case_work.note(db, record, text, doing)
            versions[:] = [version]
            return [link]

        self._work.write(record, also)
        return {"case_id": case_id, "version": versions[0]}

    def decide(self, who: Reviewer, case_id: str, wish: DecisionWish) -> dict[str, Any]:
        """Decides a case, or hands it on."""
        return self._deciding.decide(who, case_id, wish)

    def dismiss(self, who: Reviewer, sweep: Sweep) -> dict[str, Any]:
        """Dismisses cases that nobody has claimed."""
        wanted = self._search(who, replace(sweep.which, states=(CaseState.OPEN,)), self._parts.now())
        return self._deciding.dismiss(who, sweep, wanted)

    # --- within -------------------------------------------------------------------------------

    def _search(self, who: Reviewer, queue: Queue, now: float) -> CaseSearch:
        holder = who.text if queue.claimed_by == "me" else queue.claimed_by
        return CaseSearch(
            tenant=who.tenant,
            states=queue.states,
            now=now,
            level=queue.level,
            category=queue.category,
            language=queue.language,
            rule=queue.rule,
            holder=_HOLDERS.get(holder, holder),
            q=queue.q,
            after=cursor_from(queue.after),
            limit=queue.limit,
        )

    def _lease(self, record: CaseRecord) -> dict[str, Any]:
        return {
            "case_id": record.id,
            "lease": record.lease.id,
            "until": rfc3339(record.lease.until),
            "state": record.state.value,
            "version": record.version,
        }

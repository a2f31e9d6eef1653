"""What those who answer for cases and appeals have in common: what they work with, and how they write."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Protocol

import sqlalchemy as sa

from guardian.core.appeals import AppealState
from guardian.core.audit import Act, Link, Principal
from guardian.core.calls import CallEvent, CallEventType, CallSpec
from guardian.core.case_records import CaseRecord
from guardian.core.cases import CaseState, ReviewTerms, check_person
from guardian.core.errors import CaseConflict, CaseRefused, Unavailable
from guardian.core.evidence import ClipRecord
from guardian.core.people import Permission
from guardian.core.ports import Clock
from guardian.core.retention import Retention
from guardian.core.review_desk import Reviewer
from guardian.core.times import rfc3339
from guardian.desk import Also
from guardian.review_views import history
from guardian.store import audit
from guardian.store.appeals import AppealStore
from guardian.store.cases import CaseStore
from guardian.store.database import Database
from guardian.store.evidence_changes import Doing, entry

_WAIT_S = 10.0
_NEEDS = {
    CaseState.OPEN: Permission.CASES_DECIDE,
    CaseState.SECOND_REVIEW: Permission.CASES_SECOND,
    CaseState.ESCALATED: Permission.CASES_SECOND,
    CaseState.APPEALED: Permission.APPEALS_JUDGE,
}


class Clips(Protocol):
    """What a case needs of evidence. `guardian.evidence_desk.ServerEvidence`."""

    def record(self, who: Principal, evidence_id: str) -> ClipRecord:
        """One clip. NoSuchEvidence."""
        ...

    def notes(self, who: Principal, evidence_id: str) -> Mapping[str, Any]:
        """What was said and could be seen in a clip; told in the chain before anything is read."""
        ...


class Tell(Protocol):
    """`guardian.desk.Desk.keep`."""

    def __call__(
        self,
        spec: CallSpec,
        event: CallEvent,
        also: Also | None = None,
        event_id: str = "",
        *more: CallEvent,
    ) -> Future[Any]: ...


@dataclass(frozen=True, slots=True)
class ReviewParts:
    """rule_of: (tenant, rule id) -> the rule in force, None when there is none. now: wall clock seconds.

    linked: told of each link of the chain that is on the disk.
    """

    database: Database
    tell: Tell
    clips: Clips
    rule_of: Callable[[str, str], Mapping[str, Any] | None]
    terms: ReviewTerms
    retention: Retention
    now: Clock
    linked: Callable[[Link], None]


@dataclass(frozen=True, slots=True)
class Telling:
    """An event that tells of a change. event_id: as it will have, where that has to be known of the first."""

    kind: CallEventType
    data: Mapping[str, Any]
    at: float
    event_id: str = ""


class ReviewWork:
    """Reads and writes cases for those who ask."""

    def __init__(self, parts: ReviewParts) -> None:
        self.parts = parts
        self.store = CaseStore(parts.database)
        self._appeals = AppealStore(parts.database)

    def doing(self, who: Reviewer) -> Doing:
        """Who does something, now."""
        return Doing(who.text, self.parts.now())

    def check(self, who: Reviewer, record: CaseRecord) -> None:
        """CaseRefused when whoever asks may not review this case, CaseConflict when nobody may now."""
        try:
            check_person(record.state, who.text, self.deciders(record.id))
        except CaseConflict as error:
            raise self.conflict(record, str(error)) from error
        if not who.may(_NEEDS[record.state]):
            raise CaseRefused("Your roles do not allow to review cases that stand here.")

    def deciders(self, case_id: str) -> set[str]:
        """Who has decided in a case, or about an appeal in it."""
        judges = {one.judge for one in self._appeals.of_case(case_id) if one.state is AppealState.DECIDED}
        return judges | {made.actor for made in self.store.decisions(case_id)}

    def tell(self, who: Reviewer, act: Act, record: CaseRecord, body: Mapping[str, Any]) -> None:
        """Tells the chain that a case is looked at, before anything is shown."""
        with self.parts.database.writing() as db:
            link = audit.append(db, entry(act, record.id, self.doing(who), body))
        self.parts.linked(link)

    def held(self, who: Reviewer, case_id: str, lease: str, since: int = 0) -> CaseRecord:
        """The case as it stands, if whoever asks holds it by this lease. CaseConflict, with what is new since
        a version."""
        record = self.store.find(case_id, who.tenant)
        mine = record.lease.id == lease and record.lease.holder == who.text
        if not mine or not record.lease.alive(self.parts.now()):
            raise self.conflict(record, "Your claim of this case has ended; claim it again.", since)
        return record

    def conflict(self, record: CaseRecord, message: str, since: int = 0) -> CaseConflict:
        """A refusal that tells what is new since a version."""
        held = record.lease.alive(self.parts.now())
        news = {
            "case_id": record.id,
            "version": record.version,
            "state": record.state.value,
            "claimed_by": record.lease.holder if held else None,
            "claimed_until": rfc3339(record.lease.until) if held else None,
            "changes": history(self.store.history(record.id, since)) if since else [],
        }
        return CaseConflict(message, news)

    def write(self, record: CaseRecord, also: Callable[[sa.Connection], list[Link]], *tell: Telling) -> None:
        """Writes a change of a case, with the events that tell of it: all of it, or nothing.

        CaseConflict when the case is not as it was seen any more.
        """
        self.begin(record, also, *tell)()

    def begin(
        self, record: CaseRecord, also: Callable[[sa.Connection], list[Link]], *tell: Telling
    ) -> Callable[[], None]:
        """The same, of one change of many that share their commits. Returns what waits for it."""
        links: list[Link] = []

        def writes(db: sa.Connection) -> None:
            links[:] = also(db)

        writing = self._publish(record, tell, writes) if tell else None

        def finish() -> None:
            try:
                if writing is not None:
                    writing.result(_WAIT_S)
                else:
                    with self.parts.database.writing() as db:
                        writes(db)
            except CaseConflict as error:
                now = self.store.find(record.id, record.tenant)
                raise self.conflict(now, str(error), record.version) from error
            except TimeoutError:
                raise Unavailable(
                    "The store does not answer; look at the case before trying again."
                ) from None
            for link in links:
                self.parts.linked(link)

        return finish

    def _publish(self, record: CaseRecord, tell: Sequence[Telling], also: Also) -> Future[Any]:
        first, *more = (
            CallEvent(
                record.call_id,
                telling.kind,
                rfc3339(telling.at),
                float(record.facts.get("t_start", 0.0)),
                {"cause_event_id": record.event_id, **telling.data},
            )
            for telling in tell
        )
        return self.parts.tell(record.call, first, also, tell[0].event_id, *more)

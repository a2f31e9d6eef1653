"""Cases, decisions and appeals as the store knows them. Times: wall clock seconds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from guardian.core.appeals import AppealState
from guardian.core.calls import CallSpec, Scope
from guardian.core.case_queue import Cursor, Urgency, rank
from guardian.core.cases import CaseKind, CaseState, Choice, Finding, Lease, ReviewTerms, Said
from guardian.core.violations import Level, Role


@dataclass(frozen=True, slots=True)
class CaseRecord:
    """A case. cause: id of the violation, or of the complaint's event; event_id: that first told of it.

    role: whom it is about; party and other: how the platform refers to them and to the other side, empty once
    that is forgotten. facts: of the call and the rule, JSON; said: masked words, empty once they are gone.
    """

    id: str
    tenant: str
    kind: CaseKind
    cause: str
    event_id: str
    call_id: str
    role: Role
    party: str
    other: str
    level: Level
    category: str
    language: str
    rule: str
    hits: int
    state: CaseState
    place: float
    made_at: float
    due_at: float
    version: int
    lease: Lease
    finding: Finding | None
    decided_at: float | None
    decided_event: str
    facts: Mapping[str, Any]
    said: Mapping[str, Any]
    retain_until: float

    @property
    def urgency(self) -> Urgency:
        """What its place among those that wait depends on."""
        return Urgency(self.level, self.made_at, self.hits)

    def rank(self, terms: ReviewTerms) -> float:
        """Its place among those that wait."""
        return rank(self.urgency, terms)

    @property
    def call(self) -> CallSpec:
        """The call it is of, as far as events name it."""
        call: Mapping[str, Any] = self.facts.get("call", {})
        both = {self.role: self.party, self.role.other: self.other}
        return CallSpec(
            call_id=self.call_id,
            tenant=self.tenant,
            participants={role: name for role, name in both.items() if name},
            scopes=frozenset(Scope(scope) for scope in call.get("scopes", ())),
            notice_version=str(call.get("notice_version", "")),
            purpose=call.get("purpose"),
            initiated_by=call.get("initiated_by"),
            order_ref_sha256=call.get("order_ref_sha256"),
            started_at=str(call.get("started_at", "")),
        )


@dataclass(frozen=True, slots=True)
class DecisionRecord:
    """A decision in a case. stage: the state of the case it was made in; finding: what was settled by it."""

    id: str
    case_id: str
    stage: CaseState
    choice: Choice
    reason: str
    actor: str
    at: float
    finding: Finding | None
    rule: str = ""
    rule_version: str = ""
    category: str = ""
    language: str = ""
    level: str = ""
    phrase: str = ""
    waited_s: float = 0.0

    @property
    def said(self) -> Said:
        """As the core weighs it."""
        return Said(self.choice, self.reason, self.actor)


@dataclass(frozen=True, slots=True)
class HistoryRow:
    """Something that was done in a case, which brought it to `version`."""

    version: int
    what: str
    actor: str
    at: float
    detail: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class AppealRecord:
    """An appeal. words: of the party; was: what the case had been found to be; opinion: of the judge, who did
    not know that. finding: upheld or overturned, empty before."""

    id: str
    case_id: str
    tenant: str
    role: Role
    words: str
    event_id: str
    state: AppealState
    opened_at: float
    due_at: float
    version: int
    was: Finding
    opinion: str
    judge: str
    finding: str
    reason: str
    decided_at: float | None
    statement: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class CaseSearch:
    """Which cases are meant; what is None or empty does not choose.

    holder: a principal as text, `*` for anybody, `-` for nobody. q: id of a case, a call or a cause.
    """

    tenant: str
    states: tuple[CaseState, ...]
    now: float
    kind: CaseKind | None = None
    level: Level | None = None
    category: str = ""
    language: str = ""
    rule: str = ""
    holder: str = ""
    q: str = ""
    after: Cursor | None = None
    limit: int = 50

"""What can be asked and done of cases on a running server; a root answers, the HTTP part asks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from guardian.core.appeals import AppealChoice, AppealState
from guardian.core.audit import Principal
from guardian.core.cases import WAITING, Action, CaseState, Choice, Finding
from guardian.core.exposure import Exposure
from guardian.core.people import Permission
from guardian.core.violations import Level, Role


@dataclass(frozen=True, slots=True)
class Reviewer:
    """Who is asking, and what they may. An API key may everything that its tenant may."""

    principal: Principal
    permissions: frozenset[Permission]

    def may(self, permission: Permission) -> bool:
        """Whether they may."""
        return permission in self.permissions

    @property
    def text(self) -> str:
        """As cases and the chain name them."""
        return self.principal.text

    @property
    def tenant(self) -> str:
        """Whose cases they see."""
        return self.principal.tenant


@dataclass(frozen=True, slots=True)
class Queue:
    """Which cases are meant; what is empty does not choose.

    claimed_by: `me`, `anybody`, `nobody`, or a principal as text. after: the `next` of a page before.
    """

    states: tuple[CaseState, ...] = WAITING
    level: Level | None = None
    category: str = ""
    language: str = ""
    rule: str = ""
    claimed_by: str = ""
    q: str = ""
    after: str = ""
    limit: int = 50


@dataclass(frozen=True, slots=True)
class DecisionWish:
    """A decision as it is asked for, on a case as it was seen. actions: what the call service is to do."""

    lease: str
    version: int
    choice: Choice
    reason: str
    note: str = ""
    actions: tuple[Action, ...] = ()


@dataclass(frozen=True, slots=True)
class Sweep:
    """Many cases that are to be dismissed at once. count: how many whoever asks was told; None: tell me."""

    which: Queue
    reason: str
    note: str = ""
    count: int | None = None


@dataclass(frozen=True, slots=True)
class AppealWish:
    """An appeal as the call service brings it. role: which party; words: of the party."""

    case_id: str
    role: Role
    words: str


@dataclass(frozen=True, slots=True)
class AppealList:
    """Which appeals are meant. after: the `next` of a page before."""

    state: AppealState = AppealState.OPEN
    after: str = ""
    limit: int = 50


@dataclass(frozen=True, slots=True)
class Judgement:
    """What becomes of an appeal, as it is asked for. statement: what the party is told; empty: the draft."""

    version: int
    choice: AppealChoice
    reason: str
    statement: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Pulse:
    """The queue in numbers. at: wall clock seconds; waiting: cases by state; newest: when the latest of those
    that wait came, the latest first, `PULSE_MOST` at most."""

    at: float
    waiting: Mapping[str, int]
    newest: tuple[float, ...]

    def since(self, then: float) -> int:
        """How many came after a moment; `PULSE_MOST` means that many or more."""
        return sum(came > then for came in self.newest)


PULSE_MOST = 100


@dataclass(frozen=True, slots=True)
class PastHit:
    """A phrase that a rule has hit, long numbers masked, and what those cases were found to be."""

    phrase: str
    finding: Finding
    cases: int


class ReviewDesk(Protocol):
    """Everything waits for a disk: not for the event loop. Values are JSON-ready.

    Each reviewer sees what is of their tenant. Raises NoSuchCase, CaseRefused (not by whoever asks),
    CaseConflict (with what is new), Unavailable.
    """

    def list(self, who: Reviewer, queue: Queue) -> dict[str, Any]:
        """`cases` by urgency, and `next` for more."""
        ...

    def show(self, who: Reviewer, case_id: str) -> dict[str, Any]:
        """All that is needed to decide; what was said is there for who has claimed it."""
        ...

    def earlier(self, who: Reviewer, case_id: str) -> dict[str, Any]:
        """Decisions made before in this case, and in others about the same party; not for who is to decide
        without knowing them."""
        ...

    def next(self, who: Reviewer, queue: Queue, besides: Sequence[str]) -> dict[str, Any]:
        """Claims the most urgent case; `case` is null when there is none."""
        ...

    def claim(self, who: Reviewer, case_id: str) -> dict[str, Any]:
        """Claims a case for some minutes."""
        ...

    def take_over(self, who: Reviewer, case_id: str, why: str) -> dict[str, Any]:
        """Claims a case that somebody else holds."""
        ...

    def renew(self, who: Reviewer, case_id: str, lease: str) -> dict[str, Any]:
        """Lets a claim last longer."""
        ...

    def release(self, who: Reviewer, case_id: str, lease: str) -> dict[str, Any]:
        """Gives a case back."""
        ...

    def note(self, who: Reviewer, case_id: str, text: str) -> dict[str, Any]:
        """Keeps a remark."""
        ...

    def decide(self, who: Reviewer, case_id: str, wish: DecisionWish) -> dict[str, Any]:
        """Decides a case, or hands it on."""
        ...

    def dismiss(self, who: Reviewer, sweep: Sweep) -> dict[str, Any]:
        """Dismisses cases that nobody has claimed; without the right count it only tells it."""
        ...

    def pulse(self, who: Reviewer) -> Pulse:
        """What waits, in numbers."""
        ...

    def exposure(self, who: Reviewer, since: float) -> Exposure:
        """What whoever asks has played since then (wall clock seconds)."""
        ...

    def hits(self, who: Reviewer, rule: str, days: int) -> Sequence[PastHit]:
        """What a rule has hit in cases that are settled, the most frequent first."""
        ...

    def report(self, who: Reviewer, days: int) -> dict[str, Any]:
        """How review goes: precision, overturned, agreement, time to review, what waits."""
        ...


class AppealDesk(Protocol):
    """As `ReviewDesk`, of appeals."""

    def open(self, who: Reviewer, wish: AppealWish) -> dict[str, Any]:
        """Brings an appeal."""
        ...

    def list(self, who: Reviewer, wanted: AppealList) -> dict[str, Any]:
        """`appeals`, those that are due first first, and `next` for more."""
        ...

    def show(self, who: Reviewer, appeal_id: str) -> dict[str, Any]:
        """One appeal; what was decided is folded away until whoever asks has an opinion."""
        ...

    def opinion(self, who: Reviewer, appeal_id: str, choice: Choice, version: int) -> dict[str, Any]:
        """Says what one thinks of the case; from then on the decision can be seen."""
        ...

    def draft(self, who: Reviewer, appeal_id: str) -> dict[str, Any]:
        """Statements of reasons by outcome, `upheld` and `overturned`."""
        ...

    def decide(self, who: Reviewer, appeal_id: str, judgement: Judgement) -> dict[str, Any]:
        """Upholds or overturns the decision."""
        ...

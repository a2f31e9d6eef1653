"""Cases: what a moderator reviews. Pure: who may say what when, and what comes of it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from guardian.core.errors import CaseConflict, CaseRefused
from guardian.core.evidence import ReviewState
from guardian.core.violations import Level

CASE_ID = re.compile(r"case_[0-9A-HJKMNP-TV-Z]{26}")
"""`case_` and a ULID."""


class CaseKind(StrEnum):
    """What gave rise to a case."""

    VIOLATION = "violation"
    COMPLAINT = "complaint"


class CaseState(StrEnum):
    """Where a case stands. That somebody has claimed it is a lease beside its state, as leases end."""

    OPEN = "open"
    SECOND_REVIEW = "second_review"
    """One person has decided; another one is to, without seeing what the first has said."""
    ESCALATED = "escalated"
    """Somebody has passed it on, or two do not agree: a third one decides."""
    DECIDED = "decided"
    APPEALED = "appealed"
    WITHDRAWN = "withdrawn"
    """Nobody has to look at it any more: what was detected was taken back before anyone had decided."""


WAITING = (CaseState.OPEN, CaseState.SECOND_REVIEW, CaseState.ESCALATED)
"""States in which a case waits for a decision; a case under appeal waits for the judge of the appeal."""
CLAIMABLE = frozenset({*WAITING, CaseState.APPEALED})


class Choice(StrEnum):
    """What a reviewer says."""

    CONFIRM = "confirm"
    DISMISS = "dismiss"
    ESCALATE = "escalate"


class Finding(StrEnum):
    """What a case was found to be."""

    CONFIRMED = "confirmed"
    DISMISSED = "dismissed"


REASONS: Mapping[Choice, tuple[str, ...]] = {
    Choice.CONFIRM: ("explicit", "implied"),
    Choice.DISMISS: ("false_positive", "wrong_selection", "technical_error", "exception_missing"),
    Choice.ESCALATE: ("unsure", "policy_unclear", "danger"),
}
"""Why: each choice has reasons of its own, and needs one."""

_FINDINGS = {Choice.CONFIRM: Finding.CONFIRMED, Choice.DISMISS: Finding.DISMISSED}


class Action(StrEnum):
    """What the call service may be asked to do; Guardian does none of it."""

    WARN = "warn"
    MUTE = "mute"
    END = "end"


@dataclass(frozen=True, slots=True)
class ReviewTerms:
    """How cases are reviewed. Times in seconds, shares 0..1.

    lease_s: how long a claim lasts after the last activity. second_levels: levels of which every decision is
    made by two people; second_share: share of all others of which it is. due_s: how soon a case of a level
    should be looked at. appeal_s: how long after a decision one can appeal against it; appeal_due_s: how soon
    an appeal should be decided. break_after_s: how long somebody looks at clips before they are asked to
    pause, 0: never; break_s: what counts as a pause.
    """

    lease_s: float = 600.0
    second_levels: frozenset[Level] = frozenset({Level.BLOCK})
    second_share: float = 0.05
    due_s: Mapping[Level, float] = field(
        default_factory=lambda: {Level.BLOCK: 15 * 60.0, Level.REVIEW: 4 * 3600.0}
    )
    appeal_s: float = 183 * 86_400.0
    appeal_due_s: float = 3 * 86_400.0
    break_after_s: float = 50 * 60.0
    break_s: float = 10 * 60.0


@dataclass(frozen=True, slots=True)
class Lease:
    """A claim of a case. holder: a principal as text; id: shown with everything that is done under it."""

    holder: str
    id: str
    until: float

    def alive(self, now: float) -> bool:
        """Whether it holds (wall clock seconds)."""
        return bool(self.id) and self.until > now


@dataclass(frozen=True, slots=True)
class Said:
    """A decision that was made. by: a principal as text."""

    choice: Choice
    reason: str
    by: str


@dataclass(frozen=True, slots=True)
class Standing:
    """A case as a decision finds it. earlier: in order; two_decide: whether it takes two people."""

    state: CaseState
    earlier: tuple[Said, ...]
    two_decide: bool


@dataclass(frozen=True, slots=True)
class Next:
    """Where a case stands after a decision. finding: None while it is not settled."""

    state: CaseState
    finding: Finding | None


def check_reason(choice: Choice, reason: str) -> None:
    """CaseRefused when the reason is none of those that the choice has."""
    if reason not in REASONS[choice]:
        known = ", ".join(REASONS[choice])
        raise CaseRefused(f"To {choice.value} a case needs one of these reasons: {known}.")


def check_person(state: CaseState, by: str, deciders: Collection[str]) -> None:
    """CaseConflict when the case is not to be reviewed now, CaseRefused when not by whoever asks."""
    if state not in CLAIMABLE:
        raise CaseConflict("Nothing is to be decided in this case any more.")
    if by in deciders:
        raise CaseRefused("You have decided this case before; another person has to look at it now.")


def needs_second(case_id: str, level: Level, terms: ReviewTerms) -> bool:
    """Whether two people decide. Which cases are drawn depends on nothing but the id: nobody can choose."""
    if level in terms.second_levels:
        return True
    drawn = int.from_bytes(hashlib.sha256(f"second:{case_id}".encode()).digest()[:8], "big")
    return drawn < terms.second_share * 2**64


def decided(standing: Standing, said: Said) -> Next:
    """What comes of a decision. CaseRefused, CaseConflict."""
    state, earlier = standing.state, standing.earlier
    check_person(state, said.by, [one.by for one in earlier])
    check_reason(said.choice, said.reason)
    if state is CaseState.APPEALED:
        raise CaseConflict("This case is under appeal; decide the appeal.")
    if said.choice is Choice.ESCALATE:
        if state is CaseState.ESCALATED:
            raise CaseConflict("This case has been escalated already; confirm or dismiss it.")
        return Next(CaseState.ESCALATED, None)
    if state is CaseState.OPEN and standing.two_decide:
        return Next(CaseState.SECOND_REVIEW, None)
    if state is CaseState.SECOND_REVIEW and earlier[-1].choice is not said.choice:
        return Next(CaseState.ESCALATED, None)
    return Next(CaseState.DECIDED, _FINDINGS[said.choice])


def clip_state(cases: Sequence[tuple[CaseState, Finding | None]]) -> ReviewState | None:
    """What a clip is, after the cases it belongs to; None while that is open.

    It lives as long as the case that needs it longest: an appeal, then a confirmed violation.
    """
    if any(state is CaseState.APPEALED for state, _ in cases):
        return ReviewState.APPEALED
    if any(finding is Finding.CONFIRMED for _, finding in cases):
        return ReviewState.CONFIRMED
    settled = (CaseState.DECIDED, CaseState.WITHDRAWN)
    if cases and all(state in settled for state, _ in cases):
        return ReviewState.DISMISSED
    return None

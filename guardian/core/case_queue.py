"""In which order cases are looked at. Pure arithmetic on wall clock seconds."""

from __future__ import annotations

import re
from dataclasses import dataclass

from guardian.core.cases import WAITING, CaseState, ReviewTerms
from guardian.core.violations import Level

LEAD_S = 86_400.0
"""An urgent case goes before every other one that came less than this before it."""
HIT_S = 1800.0
"""How much sooner a case comes for every further hit of the same party in the same call."""
MOST_HITS = 10

_AFTER = r"(-?\d{1,12}\.\d{1,17})~([0-9A-Za-z_]{1,40})"
CURSOR_OR_NONE = rf"^({_AFTER})?$"
"""What a list takes as `after`."""


@dataclass(frozen=True, slots=True)
class Urgency:
    """What makes a case urgent. made_at: when it came; hits: of the same party in the same call."""

    level: Level
    made_at: float
    hits: int


def due_at(urgency: Urgency, terms: ReviewTerms) -> float:
    """When the case should have been looked at."""
    return urgency.made_at + terms.due_s[urgency.level]


def rank(urgency: Urgency, terms: ReviewTerms) -> float:
    """Its place among those that wait: the smaller, the sooner.

    All grow older alike, so the order never changes by itself and an index can hold it: age counts second
    for second, level and hits count as so many seconds. What is urgent goes first, and what has waited for a
    day beyond it is not forgotten for it.
    """
    lead = LEAD_S if urgency.level is Level.BLOCK else 0.0
    hits = min(max(urgency.hits - 1, 0), MOST_HITS)
    return round(due_at(urgency, terms) - lead - HIT_S * hits, 3)


def priority(at: float, now: float, terms: ReviewTerms) -> int:
    """0..100 of a case with rank `at`, for people: 100 is as urgent as can be told.

    0 would be due in twice the time that a case of the least level has.
    """
    earliest = 2 * max(terms.due_s.values())
    share = (now + earliest - at) / (earliest + LEAD_S)
    return round(100 * min(max(share, 0.0), 1.0))


def place(state: CaseState, waiting: float, now: float) -> float:
    """Where a case stands in the list of its state. waiting: its rank.

    What waits stands by rank, what is over by when that was, the latest first.
    """
    return waiting if state in WAITING or state is CaseState.APPEALED else round(-now, 3)


@dataclass(frozen=True, slots=True)
class Cursor:
    """The last row of a page; the next page begins after it."""

    place: float
    id: str

    @property
    def text(self) -> str:
        """As a list tells it: to the last bit, or rows at the edge would come twice or never."""
        return f"{self.place!r}~{self.id}"


def cursor_from(text: str) -> Cursor | None:
    """The cursor of a text, None of one that is none."""
    found = re.fullmatch(_AFTER, text)
    return None if found is None else Cursor(float(found[1]), found[2])

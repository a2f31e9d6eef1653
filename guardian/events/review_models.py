"""What events about cases, and about what people have decided, hold. None of them names a reviewer."""

from __future__ import annotations

from typing import Literal

from guardian.events.model_parts import Data, Utc


class ReviewClaimed(Data):
    """Somebody looks at a case. taken_over: from somebody else; until: when the claim ends by itself."""

    case_id: str
    causes: list[str]
    state: Literal["open", "second_review", "escalated", "appealed"]
    taken_over: bool
    until: Utc


class ReviewDecided(Data):
    """People have decided a case. causes: the violation or complaint it was about.

    people: how many had a say. appeal_until: until when either party may appeal.
    """

    case_id: str
    causes: list[str]
    decision: Literal["confirmed", "dismissed"]
    reason: str | None
    people: int
    decided_at: Utc
    appeal_until: Utc


class AppealOpened(Data):
    """A party has appealed against a decision."""

    appeal_id: str
    case_id: str
    causes: list[str]
    role: Literal["shopper", "merchant"]
    opened_at: Utc


class AppealDecided(Data):
    """Another person has decided an appeal. finding: what the case is found to be from now on."""

    appeal_id: str
    case_id: str
    causes: list[str]
    role: Literal["shopper", "merchant"]
    decision: Literal["upheld", "overturned"]
    finding: Literal["confirmed", "dismissed"]
    reason: str | None
    decided_at: Utc

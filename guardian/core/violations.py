"""Violations: what a hit becomes under the policy."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from guardian.core.tokens import Token


class Role(StrEnum):
    """The two parties of a call."""

    SHOPPER = "shopper"
    MERCHANT = "merchant"

    @property
    def other(self) -> Role:
        """The party on the other side."""
        return Role.MERCHANT if self is Role.SHOPPER else Role.SHOPPER


class Level(StrEnum):
    """How grave: PASS is listed but never raised, REVIEW goes to a person, BLOCK is urgent."""

    PASS = "PASS"
    REVIEW = "REVIEW"
    BLOCK = "BLOCK"


class Status(StrEnum):
    """Where a violation stands."""

    DETECTED = "detected"
    CONFIRMED = "confirmed"
    RETRACTED = "retracted"


@dataclass(frozen=True, slots=True)
class RuleSource:
    """What a rule was when it matched. ruleset: name and fingerprint, as `default@kpfamgqbcdjs`."""

    version: str = ""
    clause: str = ""
    ruleset: str = ""


@dataclass(frozen=True, slots=True)
class ViolationChange:
    """One change of status of one violation; `id` stays the same over its changes.

    phrase is the rule's phrase, heard what was recognised (shown whole only to whoever may see it).
    t_start, t_end: media seconds of the words; t_emitted: audio consumed when emitted plus lag.
    score is 0..1. words are those of the phrase, with their own times; they, what the rule was (its version,
    the clause it stands for, the set it was in) and where in the picture something was shown (left, top,
    width, height as shares of it) are told beside the fields.
    """

    id: str
    status: Status
    rule: str
    category: str
    level: Level
    phrase: str
    heard: str
    speaker: Role
    language: str
    t_start: float
    t_end: float
    t_emitted: float
    score: float
    words: tuple[Token, ...] = ()
    source: RuleSource = RuleSource()
    box: tuple[float, float, float, float] | None = None

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready fields without the words, the source and the box."""
        fields = asdict(self)
        del fields["words"], fields["source"], fields["box"]
        return fields

"""Appeals: a second look at a decision, asked for by either party. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from guardian.core.cases import Finding
from guardian.core.errors import CaseRefused

APPEAL_ID = re.compile(r"appeal_[0-9A-HJKMNP-TV-Z]{26}")
"""`appeal_` and a ULID."""


class AppealState(StrEnum):
    """Where an appeal stands."""

    OPEN = "open"
    JUDGED = "judged"
    """Somebody has an opinion, and now sees what was decided before."""
    DECIDED = "decided"


class AppealChoice(StrEnum):
    """What becomes of the decision."""

    UPHOLD = "uphold"
    OVERTURN = "overturn"


class AppealFinding(StrEnum):
    """What became of it, as events tell."""

    UPHELD = "upheld"
    OVERTURNED = "overturned"


_FINDINGS = {AppealChoice.UPHOLD: AppealFinding.UPHELD, AppealChoice.OVERTURN: AppealFinding.OVERTURNED}
_OTHER = {Finding.CONFIRMED: Finding.DISMISSED, Finding.DISMISSED: Finding.CONFIRMED}


def check_judge(by: str, deciders: Collection[str]) -> None:
    """CaseRefused when whoever asks has decided the case before."""
    if by in deciders:
        raise CaseRefused("You have decided this case; another person judges the appeal.")


def settled(choice: AppealChoice, before: Finding) -> tuple[AppealFinding, Finding]:
    """What became of the decision, and what the case is found to be from now on."""
    return _FINDINGS[choice], before if choice is AppealChoice.UPHOLD else _OTHER[before]


@dataclass(frozen=True, slots=True)
class Grounds:
    """What a statement of reasons is made from; JSON values as events tell them, long numbers masked.

    seconds: of the call, where it was. automated: whether a machine noticed it.
    """

    case_id: str
    call_id: str
    kind: str
    category: str
    rule: str
    rule_version: str
    clause: str
    seconds: float
    finding: Finding
    outcome: AppealFinding
    people: int
    until: str


def statement(grounds: Grounds) -> Mapping[str, Any]:
    """A draft of what the party is told: facts, clause, whether machines were used, and redress.

    As Article 17(3) of the Digital Services Act lists them. A person completes it before it is sent.
    """
    complaint = grounds.kind == "complaint"
    noticed = "a party complained" if complaint else "an automated recogniser flagged it"
    rule = "" if complaint else f" by rule {grounds.rule}"
    version = f", version {grounds.rule_version}" if grounds.rule_version else ""
    facts = (
        f"In call {grounds.call_id}, about {grounds.seconds:.0f} s after its beginning, "
        f"{noticed}{rule}{version}; category {grounds.category}."
    )
    return {
        "case_id": grounds.case_id,
        "decision": grounds.finding.value,
        "appeal": grounds.outcome.value,
        "facts": facts,
        "clause": grounds.clause or None,
        "automation": {
            "detection": "none" if complaint else "automated",
            "decision": "human",
            "people": grounds.people,
            "text": f"It was decided by people; {grounds.people} of them have looked at it, the last of whom "
            "had not decided it before.",
        },
        "redress": {
            "text": "This appeal is decided. Courts and bodies for settling disputes out of court stay open.",
            "evidence_until": grounds.until or None,
        },
    }

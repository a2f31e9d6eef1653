"""Judges written lines by the rules, as if they had been said."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from guardian.core.policy import gravest
from guardian.core.rules import RuleSet
from guardian.core.violations import Level, Role
from guardian.speech.text import units_of_text


@dataclass(frozen=True, slots=True)
class Judged:
    """The answer for one line. category and rule are None when no rule matched; score is 0..1."""

    text: str
    flagged: bool
    level: Level
    category: str | None
    rule: str | None
    score: float
    why: str

    def as_json(self) -> str:
        """One JSON object on one line."""
        return json.dumps(asdict(self), ensure_ascii=False)

    def as_line(self) -> str:
        """One line for people."""
        return f"{self.level:<7}{self.score:>5.2f}  {self.text}  ({self.why})"


def judged(text: str, rules: RuleSet, speaker: Role) -> Judged:
    """The gravest verdict of all rules on one line by itself."""
    found = gravest(rules.match(units_of_text(text), speaker), speaker)
    if found is None:
        return Judged(text, False, Level.PASS, None, None, 0.0, "no rule matched")
    hit, verdict = found
    return Judged(text, verdict.raised, verdict.level, hit.rule.category, hit.rule.id, hit.score, verdict.why)

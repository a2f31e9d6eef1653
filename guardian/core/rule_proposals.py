"""An exception that somebody proposes for a rule, as an overlay: first in shadow, then in force. Pure.

In shadow the rule stays as it is, and a copy of it that has the exception is counted beside it: what the one
raises and the other does not count is what the exception would have spared.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from guardian.core.errors import RuleRefused
from guardian.core.rulebook import RuleState, Where

PREFIX = "added-"
"""Of the names of these overlays; before `api-`, which changes states of rules that overlays add."""
WHERES = (Where.NEAR, Where.BEFORE, Where.AFTER, Where.AROUND)
WITHIN_MOST = 20
PHRASES_MOST, PHRASE_MOST = 20, 80
_UNSAID = re.compile(r"[^\w'’]|_")
"""What is not said, or says more than itself in a pattern."""
_FACTS = ("category", "level", "weight", "speaker", "version", "owner", "clause")


@dataclass(frozen=True, slots=True)
class Proposal:
    """Hits of `rule` are innocent where one of `phrases` stands. within: syllables or words, 0 to 20."""

    rule: str
    phrases: tuple[str, ...]
    where: Where = Where.NEAR
    within: int = 4

    @property
    def _mark(self) -> str:
        return hashlib.sha256(_json(asdict(self)).encode()).hexdigest()[:8]

    def overlay(self, tenant: str) -> str:
        """The name of the overlay that holds it."""
        return f"{PREFIX}{hashlib.sha256(tenant.encode()).hexdigest()[:6]}-{self._mark}"

    @property
    def twin(self) -> str:
        """The id of the copy that is counted while it is in shadow."""
        return f"{self.rule[:80]}.with-{self._mark}"

    @property
    def context(self) -> str:
        """The name of the exception."""
        return f"proposed_{self._mark}"

    def text(self, tenant: str, rule: Mapping[str, Any], state: RuleState) -> str:
        """The overlay. rule: as `RuleDesk.overview` has it; state: shadow, or live when it is to hold."""
        head = [
            f"# {_json({'proposal': asdict(self)})}",
            f"for: {{tenants: [{_json(tenant)}]}}",
            "contexts:",
            f"  {self.context}: {{where: {self.where}, within: {_json(str(self.within))}, "
            f"patterns: {_json([_pattern(phrase) for phrase in self.phrases])}}}",
        ]
        if state is RuleState.LIVE:
            body = ["change:", f"  {self.rule}: {{exceptions: [{self.context}]}}"]
        else:
            others = [one for one in rule["exceptions"] if one != self.context]
            facts = [f"    {name}: {_json(str(rule[name]))}" for name in _FACTS if rule.get(name)]
            body = [
                "rules:",
                f"  - id: {self.twin}",
                *facts,
                f"    state: {RuleState.SHADOW}",
                f"    patterns: {_json(list(rule['patterns']))}",
                f"    exceptions: {_json([*others, self.context])}",
            ]
        return "\n".join([*head, *body, ""])


def proposed(rule: str, words: str, where: str, within: int) -> Proposal:
    """As a form has it; words: a phrase on each line. RuleRefused when nothing can be made of it."""
    phrases = tuple(dict.fromkeys(line.strip() for line in words.splitlines() if _pattern(line)))
    if not phrases:
        raise RuleRefused("Write at least one phrase that makes a hit innocent.")
    if len(phrases) > PHRASES_MOST or any(len(phrase) > PHRASE_MOST for phrase in phrases):
        raise RuleRefused(f"An exception has {PHRASES_MOST} phrases of {PHRASE_MOST} characters at most.")
    place = next((one for one in WHERES if one == where), Where.NEAR)
    return Proposal(rule, phrases, place, min(max(within, 0), WITHIN_MOST))


def proposal_of(text: str) -> Proposal | None:
    """The proposal that an overlay was made from; None of any other file."""
    first, _, _ = text.partition("\n")
    try:
        told = json.loads(first.removeprefix("# "))["proposal"]
        return Proposal(
            str(told["rule"]), tuple(map(str, told["phrases"])), Where(told["where"]), int(told["within"])
        )
    except (ValueError, KeyError, TypeError):
        return None


def _pattern(phrase: str) -> str:
    return "_".join(_UNSAID.sub(" ", phrase).split())


def _json(value: Any) -> str:
    """JSON is YAML: whatever stands in it stays a text."""
    return json.dumps(value, ensure_ascii=False)

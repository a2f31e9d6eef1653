"""What a hit becomes: a level, and whether it is raised. Machines warn, people punish."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from guardian.core.rulebook import RuleState
from guardian.core.rules import ENOUGH, Hit
from guardian.core.violations import Level, Role


@dataclass(frozen=True, slots=True)
class Verdict:
    """The level a hit deserves and why, as a plain clause. PASS is never raised."""

    level: Level
    why: str

    @property
    def raised(self) -> bool:
        """Whether it becomes a violation."""
        return self.level is not Level.PASS


def judge(hit: Hit, speaker: Role) -> Verdict:
    """The verdict on one hit.

    Excused, weak and shadow hits pass. What the shopper says is never urgent unless the rule is about
    the shopper: the shopper is not the party being policed.
    """
    rule = hit.rule
    if hit.excuse:
        return Verdict(Level.PASS, f"{rule.id} matched, but excused by {hit.excuse}")
    if hit.score < ENOUGH:
        return Verdict(Level.PASS, f"{rule.id} matched weakly ({hit.score:.2f})")
    if rule.state is RuleState.SHADOW:
        return Verdict(Level.PASS, f"{rule.id} matched, in shadow")
    level = rule.level
    if level is Level.BLOCK and speaker is Role.SHOPPER and rule.speaker is not Role.SHOPPER:
        level = Level.REVIEW
    return Verdict(level, f"{rule.id} matched {hit.phrase}")


def gravest(hits: Sequence[Hit], speaker: Role) -> tuple[Hit, Verdict] | None:
    """The hit to answer with when there may be only one answer; None when there is no hit."""
    order = {Level.PASS: 0, Level.REVIEW: 1, Level.BLOCK: 2}
    judged = [(hit, judge(hit, speaker)) for hit in hits]
    return max(judged, key=lambda pair: (order[pair[1].level], pair[0].score), default=None)

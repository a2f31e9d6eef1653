"""What a change of the rules would have changed: the same lines judged by the old and by the new ones."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from guardian.core.rules import RuleSet
from guardian.core.violations import Role
from guardian.speech.judging import Judged, judged


class Kind(StrEnum):
    """new: flagged now and not before. gone: the other way round. changed: by another rule or level."""

    NEW = "new"
    GONE = "gone"
    CHANGED = "changed"


@dataclass(frozen=True, slots=True)
class Line:
    """A line to judge. number: from 1 on; expected: whether it should be flagged, None when nobody said."""

    number: int
    text: str
    expected: bool | None = None


@dataclass(frozen=True, slots=True)
class Difference:
    """A line that is judged otherwise."""

    kind: Kind
    line: Line
    before: Judged
    after: Judged

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "kind": str(self.kind),
            "line": self.line.number,
            "text": self.line.text,
            "expected": self.line.expected,
            "before": _short(self.before),
            "after": _short(self.after),
        }


@dataclass(frozen=True, slots=True)
class Tally:
    """How lines were judged: flagged of all, and of those that should and should not be."""

    lines: int
    flagged: int
    violations: int
    found: int
    benign: int
    false_alarms: int


@dataclass(frozen=True, slots=True)
class Backtest:
    """The difference two sets of rules make."""

    before: Tally
    after: Tally
    differences: tuple[Difference, ...]

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        counts = [one.kind for one in self.differences]
        return {
            "before": asdict(self.before),
            "after": asdict(self.after),
            **{str(kind): counts.count(kind) for kind in Kind},
            "differences": [one.as_dict() for one in self.differences],
        }


@dataclass(frozen=True, slots=True)
class Trial:
    """Two sets of rules to compare, and who is taken to speak."""

    old: RuleSet
    new: RuleSet
    speaker: Role


def backtest(lines: Iterable[Line], trial: Trial, done: Callable[[], None] = lambda: None) -> Backtest:
    """Judges every line twice. done: told after each line."""
    differences: list[Difference] = []
    judgements: list[tuple[Line, Judged, Judged]] = []
    for line in lines:
        before, after = (judged(line.text, rules, trial.speaker) for rules in (trial.old, trial.new))
        judgements.append((line, before, after))
        kind = _kind(before, after)
        if kind is not None:
            differences.append(Difference(kind, line, before, after))
        done()
    return Backtest(
        _tally([(line, before) for line, before, _ in judgements]),
        _tally([(line, after) for line, _, after in judgements]),
        tuple(differences),
    )


def _kind(before: Judged, after: Judged) -> Kind | None:
    if before.flagged != after.flagged:
        return Kind.NEW if after.flagged else Kind.GONE
    same = (before.rule, before.level, before.category) == (after.rule, after.level, after.category)
    return None if same or not after.flagged else Kind.CHANGED


def _tally(judgements: list[tuple[Line, Judged]]) -> Tally:
    violations = [answer.flagged for line, answer in judgements if line.expected is True]
    benign = [answer.flagged for line, answer in judgements if line.expected is False]
    return Tally(
        lines=len(judgements),
        flagged=sum(answer.flagged for _, answer in judgements),
        violations=len(violations),
        found=sum(violations),
        benign=len(benign),
        false_alarms=sum(benign),
    )


def _short(answer: Judged) -> dict[str, Any]:
    return {name: getattr(answer, name) for name in ("level", "category", "rule", "score", "why")}

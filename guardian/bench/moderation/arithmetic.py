"""Rates with what can be said of them, and how misses trade against false alarms. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import exp

from guardian.core.attempts import SAME_RULE_S
from guardian.core.rules import Hit

CONFIDENCE = 0.95
_HALVINGS = 100


@dataclass(frozen=True, slots=True)
class Point:
    """A threshold of the score, false alarms per hour and the share of attempts missed at it."""

    threshold: float
    per_hour: float
    missed: float


def upper_bound(count: int, hours: float) -> float:
    """The rate per hour that a count over some hours rules out any larger one than, with `CONFIDENCE`.

    Exact, for events of a Poisson process: at this rate no more than `count` would come with a probability
    of 1 - CONFIDENCE (Garwood 1936, one-sided). hours > 0.
    """
    low, high = 0.0, 10.0 + 3.0 * count
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if _at_most(count, middle) > 1 - CONFIDENCE:
            low = middle
        else:
            high = middle
    return high / hours


def trade(best: Sequence[float], alarms: Sequence[Sequence[Hit]], hours: float) -> list[Point]:
    """A point for each score that changes something, lowest first.

    best: the best score in each attempt, 0 where no rule matched. alarms: hits in each recording in which
    nobody tries anything.
    """
    thresholds = sorted({score for score in best if score} | {hit.score for hits in alarms for hit in hits})
    return [
        Point(
            threshold,
            sum(attempts([hit for hit in hits if hit.score >= threshold]) for hits in alarms) / hours,
            sum(score < threshold for score in best) / max(len(best), 1),
        )
        for threshold in thresholds
    ]


def attempts(hits: Iterable[Hit]) -> int:
    """How many violations hits come to: those that overlap, or are of one rule and near, are one."""
    ends: list[tuple[str, float]] = []
    count = 0
    for hit in sorted(hits, key=lambda one: one.t_start):
        known = any(
            hit.t_start < end or (rule == hit.rule.id and hit.t_start - end <= SAME_RULE_S)
            for rule, end in ends
        )
        count += not known
        ends.append((hit.rule.id, hit.t_end))
    return count


def share(part: int, whole: int) -> float | None:
    """None where there is nothing to have a share of."""
    return part / whole if whole else None


def _at_most(count: int, mean: float) -> float:
    """Probability of no more than `count` events where `mean` are expected."""
    term = total = exp(-mean)
    for number in range(1, count + 1):
        term *= mean / number
        total += term
    return total

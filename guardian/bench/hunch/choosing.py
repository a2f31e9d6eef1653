"""Where hunches begin and where they clear what rules found: limits that leave the innocent alone.

What is judged here was never learned from: each author's phrases by weights learned without that author, each
half of the natural talk by weights learned from the other.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from math import log

import numpy as np

from guardian.bench.hunch.said import Said
from guardian.core.hunch import STEEP, Hunch, Weights, language_of
from guardian.core.policy import judge
from guardian.core.rules import ENOUGH, SURELY, RuleSet
from guardian.core.units import Unit
from guardian.core.violations import Level, Role

FALSE = 0.04
"""Innocent phrases that may be flagged, of all."""
SUREST = -0.5
"""The greatest sum that is surely innocent: what is heard badly weighs little, and is none the better."""
APART = 0.5
"""What limits keep clear of natural talk: hints may raise what is near them."""
_STEP = 0.05
_SPEAKER = Role.MERCHANT


@dataclass(frozen=True, slots=True)
class Seen:
    """What is known of one phrase or talk. language: by its sounds. value: of its likeliest stretch, less
    what a recogniser's doubts take from the score.

    urgent, found: whether rules raise it as BLOCK, at all.
    """

    said: Said
    language: str
    value: float
    urgent: bool
    found: bool


@dataclass(frozen=True, slots=True)
class Limits:
    """As in `Weights`, for one language."""

    limit: float
    sure: float

    def flags(self, seen: Seen) -> bool:
        """Whether it would be raised. What hints add is left out."""
        return seen.urgent or seen.value >= (self.sure if seen.found else self.limit)


def values(said: Sequence[Said], weights: Weights) -> list[float]:
    """The greatest value of a stretch in each."""
    hunch = Hunch(weights)
    return [hunch.greatest(one.units, one.runs) for one in said]


def seen(said: Sequence[Said], weights: Weights, rules: RuleSet) -> list[Seen]:
    """rules: without hunches."""
    return [
        Seen(one, language_of(one.units), value - _doubt(one.units), *_by_rules(one.units, rules))
        for one, value in zip(said, values(said, weights), strict=True)
    ]


def _doubt(units: Sequence[Unit]) -> float:
    """How much further over the limit a hunch has to be, as the score counts confidence."""
    confidence = sum(unit.confidence for unit in units) / len(units)
    likely = ENOUGH / (SURELY + (1.0 - SURELY) * confidence)
    return log(likely / (1.0 - likely)) / STEEP


def _by_rules(units: Sequence[Unit], rules: RuleSet) -> tuple[bool, bool]:
    levels = {judge(hit, _SPEAKER).level for hit in rules.match(units, _SPEAKER)}
    return Level.BLOCK in levels, bool(levels & {Level.BLOCK, Level.REVIEW})


def chosen(phrases: Iterable[Seen], talk: Iterable[Seen]) -> Limits:
    """The limits of a language that find most, flag at most `FALSE` of the innocent phrases, and nothing in
    the talk."""
    phrases, talk = list(phrases), list(talk)
    quiet = quiet_from(talk)
    best = (-1.0, Limits(float("inf"), float("-inf")))
    for limit, sure in product(_grid(phrases), _grid(phrases)):
        limits = Limits(max(limit, quiet), sure)
        if sure <= limits.limit:
            found, false = rates(phrases, limits)
            if false <= FALSE and sure <= SUREST:
                best = max(best, (found, limits), key=lambda one: (one[0], -one[1].sure))
    return best[1]


def quiet_from(talk: Iterable[Seen]) -> float:
    """The limit from which on nothing in the talk is raised."""
    return max((one.value for one in talk if not one.urgent), default=float("-inf")) + APART


def rates(phrases: Sequence[Seen], limits: Limits) -> tuple[float, float]:
    """Shares of attempts found and of innocent phrases flagged."""
    counts = {True: [0, 0], False: [0, 0]}
    for one in phrases:
        count = counts[one.said.violation]
        count[0] += limits.flags(one)
        count[1] += 1
    return counts[True][0] / max(1, counts[True][1]), counts[False][0] / max(1, counts[False][1])


def _grid(phrases: Sequence[Seen]) -> Iterator[float]:
    values = [one.value for one in phrases]
    low, high = np.quantile(values, [0.02, 0.99])
    yield from (float(value) for value in np.arange(low, high, max(_STEP, (high - low) / 80)))


def limited(weights: Weights, limits: dict[str, Limits]) -> Weights:
    """The weights with these limits, by language."""
    return replace(
        weights,
        limits={language: round(float(one.limit), 2) for language, one in limits.items()},
        sure={language: round(float(one.sure), 2) for language, one in limits.items()},
    )

"""Rules: patterns of concepts, what excuses them, and how they are matched on units.

A pattern is a row of steps; each step is one of several concepts (lists of phrases, found by the
`Lexicon`, or numbers, named `#mobile`, `#card` ...) with a bounded gap before it. Only patterns one of
whose concepts was heard are tried, so the work does not grow with the number of rules.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from guardian.core.digits import digit_runs
from guardian.core.hunch import FELT, Hunch
from guardian.core.phrases import Lexicon, Occurrence
from guardian.core.rulebook import Context, Pattern, Rule, RuleBook, RuleState, Step, Where, felt
from guardian.core.tokens import Token
from guardian.core.units import Unit
from guardian.core.violations import Level, Role

TOGETHER_S = 15.0
"""Within how many seconds signals add up."""
ALIKE = 0.05
"""Greatest cost of a hit that adds up with others: of what only sounds alike, speech is full."""
ENOUGH = 0.5
"""Score from which on a hit counts by itself."""
SURELY = 0.6
"""What is left of a score where a recogniser has no confidence at all."""
EXCUSE_LIMIT = 0.02
"""Greatest cost of a context: what excuses has to be heard well, two syllables with their tones (片子 is
no 骗子)."""
WHOLE = "whole"
"""The term whose phrases are words of their own: what is found only inside one of them is not found."""
EXCUSED = 0.3
"""What is left of the score of a hit that its context excuses."""


@dataclass(frozen=True, slots=True)
class Hit:
    """A rule that matched units[start:end].

    phrase: the pattern as the rule writes it; heard: the units; excuse: name of the context that
    makes it innocent, or empty. Times in media seconds, score 0..1. ruleset: label of
    the rules it was found by, as `default@kpfamgqbcdjs`.
    """

    rule: Rule
    phrase: str
    heard: str
    start: int
    end: int
    t_start: float
    t_end: float
    score: float
    cost: float = 0.0
    """How far what was heard is from what the rule says, 0..1."""
    excuse: str = ""
    words: tuple[Token, ...] = ()
    """The units with their times and confidence."""
    ruleset: str = ""


@dataclass(frozen=True, slots=True)
class _Match:
    start: int
    end: int
    cost: float
    steps: tuple[tuple[int, int], ...]
    """Start and end of each step, in the order they were said."""
    reasons: str = ""
    """What made a hunch of it, where it is one."""


class _Heard:
    """The concepts in one sequence of units."""

    def __init__(self, units: Sequence[Unit], lexicon: Lexicon, hunch: Hunch | None) -> None:
        self.units = units
        self.by_concept: dict[str, list[Occurrence]] = defaultdict(list)
        for found in _not_inside_words(lexicon.find(units)):
            self.by_concept[found.concept].append(found)
        runs = digit_runs(units)
        for run in runs:
            for kind in run.kinds():
                self.by_concept[f"#{kind}"].append(
                    Occurrence(f"#{kind}", run.digits, run.start, run.end, 0.0)
                )
        for found in hunch.feel(units, runs) if hunch is not None else ():
            self.by_concept[found.concept].append(found)
        self._starts = {
            concept: [found.start for found in occurrences]
            for concept, occurrences in self.by_concept.items()
        }
        self._places: dict[str, list[_Match]] = {}

    def places(self, context: Context) -> list[_Match]:
        """Where the context stands, but for where it is part of something that says otherwise."""
        known = self._places.get(context.name)
        if known is None:
            others = [match for pattern in context.unless for match in self.matches(pattern)]
            known = self._places[context.name] = [
                found
                for pattern in context.patterns
                for found in self.matches(pattern)
                if found.cost <= EXCUSE_LIMIT
                and not any(one.start <= found.start and found.end <= one.end for one in others)
            ]
        return known

    def between(self, concept: str, first: int, last: int) -> list[Occurrence]:
        """Occurrences that start at first..last."""
        starts = self._starts.get(concept)
        if starts is None:
            return []
        return self.by_concept[concept][bisect_left(starts, first) : bisect_left(starts, last + 1)]

    def matches(self, pattern: Pattern) -> list[_Match]:
        """Every place where the pattern matches; for each start the nearest end."""
        if pattern.together:
            return self._together(pattern)
        first, *rest = pattern.steps
        # What follows is looked for once from each place: whatever is said over and over ends.
        known: dict[tuple[int, int], _Match | None] = {}
        matches: list[_Match] = []
        for concept in first.concepts:
            for found in self.by_concept.get(concept, ()):
                match = self._follow(found, rest, known)
                if match is not None:
                    matches.append(match)
        return matches

    def _follow(
        self, found: Occurrence, rest: Sequence[Step], known: dict[tuple[int, int], _Match | None]
    ) -> _Match | None:
        """known: of how many last steps, after which unit, what was found before."""
        here = ((found.start, found.end),)
        if not rest:
            reasons = found.text if found.concept.startswith(FELT) else ""
            return _Match(found.start, found.end, found.cost, here, reasons)
        place = (len(rest), found.end)
        if place not in known:
            known[place] = self._after(found.end, rest, known)
        match = known[place]
        if match is None:
            return None
        cost = max(found.cost, match.cost)
        return _Match(found.start, match.end, cost, (*here, *match.steps), match.reasons)

    def _after(
        self, end: int, rest: Sequence[Step], known: dict[tuple[int, int], _Match | None]
    ) -> _Match | None:
        """The nearest place of the steps that are left."""
        step = rest[0]
        candidates = [
            following
            for concept in step.concepts
            for following in self.between(concept, end, end + step.gap)
            if self._gap(end, following.start) <= step.gap
        ]
        for following in sorted(candidates, key=lambda one: (one.start, one.cost)):
            match = self._follow(following, rest[1:], known)
            if match is not None:
                return match
        return None

    def _gap(self, end: int, start: int) -> int:
        return start - end + (self.units[start].clause - self.units[end - 1].clause)

    def _together(self, pattern: Pattern) -> list[_Match]:
        places = [
            [found for concept in step.concepts for found in self.by_concept.get(concept, ())]
            for step in pattern.steps
        ]
        matches: list[_Match] = []
        for first in places[0]:
            chosen = [first]
            for step, others in zip(pattern.steps[1:], places[1:], strict=True):
                free = [
                    one
                    for one in others
                    if all(self._apart(one, taken) >= 0 for taken in chosen)
                    and self._nearest(one, chosen) <= step.gap
                    and self._seconds(one, first) <= TOGETHER_S
                ]
                if not free:
                    break
                chosen.append(min(free, key=lambda one: self._nearest(one, chosen)))
            else:
                matches.append(
                    _Match(
                        min(one.start for one in chosen),
                        max(one.end for one in chosen),
                        max(one.cost for one in chosen),
                        tuple(sorted((one.start, one.end) for one in chosen)),
                    )
                )
        return matches

    def _apart(self, a: Occurrence, b: Occurrence) -> int:
        """Units between two occurrences; below 0 where they overlap."""
        first, second = (a, b) if a.start < b.start else (b, a)
        between = second.start - first.end
        return between if between < 0 else self._gap(first.end, second.start)

    def _nearest(self, found: Occurrence, others: Sequence[Occurrence]) -> int:
        return min(self._apart(found, other) for other in others)

    def _seconds(self, a: Occurrence, b: Occurrence) -> float:
        return abs(self.units[a.start].t_start - self.units[b.start].t_start)


def _not_inside_words(found: Sequence[Occurrence]) -> Iterator[Occurrence]:
    """All but what is only a part of a word of the term `WHOLE`: 说 in 说明书."""
    words = [(one.start, one.end) for one in found if one.concept == WHOLE and one.cost <= EXCUSE_LIMIT]
    for one in found:
        size = one.end - one.start
        if not any(start <= one.start and one.end <= end and size < end - start for start, end in words):
            yield one


class RuleSet:
    """Rules ready to be matched. Immutable once made; may be shared by threads."""

    def __init__(self, book: RuleBook) -> None:
        self.book = book
        self.rules = book.rules
        self.lexicon = Lexicon(book.entries)
        self._hunch = Hunch(book.hunch) if book.hunch is not None else None
        self._by_anchor = _anchors(
            (number, pattern)
            for number, rule in enumerate(self.rules)
            if rule.state is not RuleState.OFF
            for pattern in rule.patterns
        )

    def match(self, units: Sequence[Unit], speaker: Role) -> tuple[Hit, ...]:
        """All hits in what one speaker said, excused ones too, best score first."""
        return self._match(_Heard(units, self.lexicon, self._hunch), speaker) if units else ()

    def match_words(self, units: Sequence[Unit], speaker: Role) -> tuple[Hit, ...]:
        """The same by words alone: for what is written on things, which hunches know nothing of."""
        return self._match(_Heard(units, self.lexicon, None), speaker) if units else ()

    def _match(self, heard: _Heard, speaker: Role) -> tuple[Hit, ...]:
        best: dict[tuple[str, int], Hit] = {}
        for rule, pattern in self._candidates(heard):
            if rule.speaker is not None and rule.speaker is not speaker:
                continue
            for match in heard.matches(pattern):
                hit = self._hit(rule, pattern, match, heard)
                place = (rule.id, match.start)
                if place not in best or best[place].score < hit.score:
                    best[place] = hit
        hits = _apart(_added_up(list(best.values())))
        return tuple(sorted(hits, key=lambda hit: (-hit.score, hit.start)))

    def _candidates(self, heard: _Heard) -> Iterator[tuple[Rule, Pattern]]:
        tried: set[tuple[int, str]] = set()
        for concept in heard.by_concept:
            for number, pattern in self._by_anchor.get(concept, ()):
                if (number, pattern.text) not in tried:
                    tried.add((number, pattern.text))
                    yield self.rules[number], pattern

    def _hit(self, rule: Rule, pattern: Pattern, match: _Match, heard: _Heard) -> Hit:
        units = heard.units[match.start : match.end]
        confidence = sum(unit.confidence for unit in units) / len(units)
        excuse = self._excuse(rule, match, heard)
        score = rule.weight * (1.0 - match.cost) * (SURELY + (1.0 - SURELY) * confidence)
        return Hit(
            rule=rule,
            phrase=match.reasons or pattern.text,
            heard=" ".join(unit.text for unit in units),
            start=match.start,
            end=match.end,
            t_start=units[0].t_start,
            t_end=units[-1].t_end,
            score=round(score * (EXCUSED if excuse else 1.0), 3),
            cost=match.cost,
            excuse=excuse,
            words=tuple(Token(u.text, u.t_start, u.t_end, round(u.confidence, 3)) for u in units),
            ruleset=self.book.label,
        )

    def _excuse(self, rule: Rule, match: _Match, heard: _Heard) -> str:
        for name in rule.exceptions:
            context = self.book.contexts[name]
            if rule.level is Level.BLOCK and any(felt(pattern) for pattern in context.patterns):
                continue  # what is urgent is left to people
            if any(_excuses(context, found, match, heard.units) for found in heard.places(context)):
                return name
        return ""


def _anchors(patterns: Iterable[tuple[int, Pattern]]) -> dict[str, list[tuple[int, Pattern]]]:
    """Files each pattern under the concepts of its rarest step."""
    listed = list(patterns)
    common = Counter(concept for _, pattern in listed for step in pattern.steps for concept in step.concepts)
    filed: dict[str, list[tuple[int, Pattern]]] = defaultdict(list)
    for number, pattern in listed:
        rarest = min(pattern.steps, key=lambda step: sum(common[concept] for concept in step.concepts))
        for concept in rarest.concepts:
            filed[concept].append((number, pattern))
    return dict(filed)


def _excuses(context: Context, found: _Match, match: _Match, units: Sequence[Unit]) -> bool:
    before, after = match.start - found.end, found.start - match.end
    if context.where is Where.BEFORE:
        boundaries = units[match.start].clause - units[found.end - 1].clause
        # 不给 before 给电话: a negation may share its last unit with the hit.
        return boundaries <= context.clauses and found.start < match.start and -1 <= before <= context.within
    if context.where is Where.AFTER:
        return 0 <= after <= context.within
    if context.where is Where.INSIDE:
        return any(
            end <= found.start
            and 0 <= following - found.end <= context.within
            and units[found.end - 1].clause == units[following].clause
            for (_, end), (following, _) in pairwise(match.steps)
        )
    if context.where is Where.AROUND:
        return found.start <= match.start and match.end <= found.end
    return max(before, after) <= context.within


def _added_up(hits: list[Hit]) -> list[Hit]:
    """Raises weak hits by weak hits of other rules beside them (noisy or), by the less the longer ago those
    were, by nothing from `TOGETHER_S` on; shadows raise nothing, and what only sounds alike is left out.

    A hunch is raised by what is inside it, too, and raises nothing: it is made of the same words.
    """
    helping = [hit for hit in hits if _is_weak(hit) and hit.cost <= ALIKE and not hit.rule.felt]
    helping = [hit for hit in helping if hit.rule.state is not RuleState.SHADOW]
    result: list[Hit] = []
    for hit in hits:
        score = hit.score
        if _is_weak(hit) and (hit.cost <= ALIKE or hit.rule.felt):
            others: dict[str, float] = {}
            for other in helping:
                beside = hit.rule.felt or other.end <= hit.start or other.start >= hit.end
                if other.rule.id != hit.rule.id and beside:
                    share = max(0.0, 1.0 - abs(other.t_start - hit.t_start) / TOGETHER_S)
                    others[other.rule.id] = max(others.get(other.rule.id, 0.0), other.score * share)
            left = 1.0 - score
            for other_score in others.values():
                left *= 1.0 - other_score
            score = round(1.0 - left, 3)
        result.append(replace(hit, score=score))
    return result


def _is_weak(hit: Hit) -> bool:
    return not hit.excuse and hit.score < ENOUGH


def _apart(hits: list[Hit]) -> list[Hit]:
    """Of overlapping hits of one rule only the best stays."""
    kept: list[Hit] = []
    for hit in sorted(hits, key=lambda one: (-one.score, one.end - one.start, one.start)):
        if all(
            hit.rule.id != other.rule.id or hit.end <= other.start or hit.start >= other.end for other in kept
        ):
            kept.append(hit)
    return kept

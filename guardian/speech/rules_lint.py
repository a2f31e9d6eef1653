"""Finds what a rule file can hold without being wrong and should not: words nobody uses, patterns in vain.

A pattern is tried by saying it: each way of each step in turn, beside the first way of the others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from guardian.core.rulebook import Pattern, Rule, RuleBook, RuleFault, RuleState, felt
from guardian.core.rules import WHOLE, RuleSet
from guardian.core.tokens import Token
from guardian.core.units import Unit, word_unit
from guardian.core.violations import Role
from guardian.speech.rules_compile import Compiled
from guardian.speech.rules_draft import Spot
from guardian.speech.rules_folder import OVERLAYS, Rulebooks
from guardian.speech.text import UNIT_S, units_of_text

_SPOKEN = {
    "#mobile": "13912345678",
    "#service": "4001234567",
    "#card": "4111111111111111",
    "#national_id": "110105194912310021",
    "#phone": "5550123",
    "#number": "53962",
    "#code": "5396",
}
"""A number of each kind."""


@dataclass(frozen=True, slots=True)
class _Trial:
    """One pattern as a rule of its own."""

    rule: Rule
    pattern: Pattern
    spot: Spot


def warnings(books: Rulebooks, done: Callable[[int, int], None] = lambda _n, _of: None) -> list[RuleFault]:
    """What should be looked at, in order of files and lines. done: told (patterns tried, of all)."""
    found = [*_unused(books.base)]
    trials = _trials(books.base, lambda spot: True)
    sets = [(books.base, trials)]
    for name in books.overlays:
        laid = books.laid((name,))
        file = f"{OVERLAYS}/{name}.yaml"
        found.extend(fault for fault in _unused(laid) if fault.file == file)
        sets.append((laid, _trials(laid, _of(file))))
    count, total = 0, sum(len(listed) for _, listed in sets)
    for made, listed in sets:
        if not listed:
            continue
        rules = RuleSet(_each_by_itself(made.book("lint", ""), listed))
        ways = _ways(rules.book)
        for number, trial in enumerate(listed):
            fault = _tried(trial, f"{number}", rules, ways)
            if fault is not None:
                found.append(fault)
            count += 1
            done(count, total)
    return sorted(found, key=lambda fault: (fault.file, fault.line))


def _unused(made: Compiled) -> Iterator[RuleFault]:
    excusing = {name for rule in made.rules.values() for name in rule.exceptions}
    for name, spot in made.contexts_at.items():
        if name not in excusing:
            yield spot.fault(f"context {name} excuses no rule; name it under exceptions, or remove it.")
    for name, phrases in made.terms.items():
        if name not in made.used_terms and name != WHOLE and phrases:
            yield phrases[0].spot.fault(f"term {name} is used in no pattern; use it, or remove it.")


def _of(file: str) -> Callable[[Spot], bool]:
    return lambda spot: spot.file == file


def _trials(made: Compiled, wanted: Callable[[Spot], bool]) -> list[_Trial]:
    return [
        _Trial(rule, pattern, spot)
        for rule in made.rules.values()
        for pattern in rule.patterns
        if not felt(pattern) and wanted(spot := made.patterns_at[(rule.id, pattern.text)])
    ]


def _each_by_itself(book: RuleBook, trials: Sequence[_Trial]) -> RuleBook:
    """A book whose rules have one pattern each, so that no better one hides it; and no hunches."""
    return replace(
        book,
        hunch=None,
        rules=tuple(
            replace(trial.rule, id=str(number), patterns=(trial.pattern,), state=RuleState.LIVE)
            for number, trial in enumerate(trials)
        ),
    )


def _ways(book: RuleBook) -> Mapping[str, list[tuple[Unit, ...]]]:
    """Concept -> every way to say it."""
    ways: dict[str, list[tuple[Unit, ...]]] = {
        kind: [(word_unit(Token(digits, 0.0, 0.0)),)] for kind, digits in _SPOKEN.items()
    }
    for entry in book.entries:
        ways.setdefault(entry.concept, []).append(units_of_text(entry.text.replace("_", " ")))
    return ways


def _tried(
    trial: _Trial, name: str, rules: RuleSet, ways: Mapping[str, list[tuple[Unit, ...]]]
) -> RuleFault | None:
    excuses: set[str] = set()
    for said in _sayings(trial.pattern, ways):
        for hit in rules.match(said, trial.rule.speaker or Role.MERCHANT):
            if hit.rule.id != name:
                continue
            if not hit.excuse:
                return None
            excuses.add(hit.excuse)
    if not excuses:
        return trial.spot.fault(f"the pattern {trial.pattern.text[:120]!r} can never match; correct it.")
    return trial.spot.fault(
        f"the pattern {trial.pattern.text[:120]!r} is always excused by {', '.join(sorted(excuses))}; "
        "take the exception from the rule, or the phrase from it."
    )


def _sayings(pattern: Pattern, ways: Mapping[str, list[tuple[Unit, ...]]]) -> Iterator[tuple[Unit, ...]]:
    steps = [[way for concept in step.concepts for way in ways.get(concept, ())] for step in pattern.steps]
    if not all(steps):
        return
    yield _joined([step[0] for step in steps])
    for place, step in enumerate(steps):
        for way in step[1:]:
            yield _joined([way if n == place else other[0] for n, other in enumerate(steps)])


def _joined(parts: Sequence[Sequence[Unit]]) -> tuple[Unit, ...]:
    """Units said one after the other without a pause."""
    units = [unit for part in parts for unit in part]
    return tuple(
        replace(unit, t_start=n * UNIT_S, t_end=(n + 1) * UNIT_S, clause=0) for n, unit in enumerate(units)
    )

"""Do hunches find attempts by authors they never learned from, and leave the innocent alone?

Weights are learned from all authors but one and judge that one, for each in turn; natural talk is judged
by weights learned from its other half; limits are chosen by one half. Everything is drawn from one seed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from guardian.bench.hunch.choosing import Limits, Seen, chosen, limited, quiet_from, seen
from guardian.bench.hunch.learning import Effort, Row, copies, learned, rows_of
from guardian.bench.hunch.said import Said, classes_of, phrases, stretches_of
from guardian.bench.hunch.talk import Talk, hours, natural
from guardian.bench.moderation.arithmetic import share
from guardian.bench.moderation.recordings import LANGUAGES
from guardian.bench.script import Script, Steps
from guardian.core.errors import Unavailable
from guardian.core.hunch import Weights, WordClasses
from guardian.core.policy import gravest
from guardian.core.rulebook import RuleBook
from guardian.core.rules import RuleSet
from guardian.core.violations import Role
from guardian.ears import rules_for
from guardian.resources import checkout, resource
from guardian.speech.rules_draft import CATEGORIES

RECALL, FALSE = 0.92, 0.04
GOALS_PER_HOUR = {"zh": 0.5, "en": 1.0}
ALL = "all"
_TALK_UNITS = (12, 24, 36)
"""Units of the stretches that natural talk is learned in, over and over."""
_TALK_SHARE = 0.5
_SPEAKER = Role.MERCHANT
_QUICK = Effort(pieces=1000, copies=0)
_UNTUNED = "authors"
"""The folder of tables that no rule was mended by: limits are chosen, and figures told, by them alone."""


@dataclass(frozen=True, slots=True)
class Matter:
    """What there is to learn from. phrases: by all authors; fair: authors no rule was mended by."""

    phrases: list[Said]
    fair: frozenset[str]
    talk: list[Talk]
    classes: dict[str, str]
    book: RuleBook


@dataclass(frozen=True, slots=True)
class Made:
    """Weights of all there is, and figures of what they would do to others."""

    weights: Weights
    rows: list[dict[str, Any]]


def tables() -> tuple[list[Path], list[Path]]:
    """The tables that come with the tests: those rules were mended by, and the others. Unavailable."""
    root = checkout()
    if root is None:
        raise Unavailable("Phrases to learn from are in a checkout only; clone the project.")
    folder = root / "tests" / "speech" / "phrases"
    return sorted([*folder.glob("set_*.tsv"), folder / "rounds.tsv"]), sorted(
        (folder / _UNTUNED).glob("*.tsv")
    )


def matter(also: Sequence[Path], steps: Steps) -> Matter:
    """also: more tables, without pieces of their own. Unavailable, MediaError, ModelMissing."""
    tuned, fair = tables()
    book = replace(rules_for("").book, hunch=None)
    own = phrases([*tuned, *fair])
    others = [replace(one, bare=True) for one in phrases(also)]
    talk = list(natural(RuleSet(book), steps))
    classes = classes_of(resource("configs", "hunch", "classes.txt"))
    return Matter([*own, *others], frozenset(table.stem for table in fair), talk, classes, book)


class Learner:
    """Learns from any part of the matter; what was made of a phrase once is not made again."""

    def __init__(self, found: Matter, effort: Effort) -> None:
        self.matter = found
        self.effort = effort
        words = WordClasses(found.classes)
        self._phrases = rows_of([*found.phrases, *copies(found.phrases, effort)], words)
        self._talk = [
            (talk, rows_of([replace(one, share=_TALK_SHARE) for one in _cut(talk)], words))
            for talk in found.talk
        ]

    def learned(self, phrase: Callable[[Said], bool], talk: Callable[[Talk], bool]) -> Weights:
        """Weights of the phrases and the talk that these say yes to."""
        rows: list[Row] = [row for row in self._phrases if phrase(row.said)]
        rows += [row for one, listed in self._talk if talk(one) for row in listed]
        return learned(rows, CATEGORIES, self.matter.classes, self.effort)


def _cut(talk: Talk) -> Iterable[Said]:
    return (one for units in _TALK_UNITS for one in stretches_of(talk.said, units))


async def made(found: Matter, effort: Effort, steps: Steps) -> Made:
    """Learns and judges by turns, then learns from everything."""
    authors = sorted(found.fair)
    steps.expect(len(authors) + 4)
    learner, rules = Learner(found, effort), RuleSet(found.book)
    folds: dict[str, Weights] = {}
    judged: list[Seen] = []
    for author in authors:
        await asyncio.sleep(0)  # here a signal ends the work
        steps.begin(f"without {author}")
        folds[author] = learner.learned(_of_others_than(author), _every)
        judged += seen([one for one in found.phrases if one.author == author], folds[author], rules)
        steps.done()
    steps.begin("natural talk")
    told: list[list[Seen]] = []
    for half in (0, 1):
        weights = learner.learned(_every, _in_the_other(half))
        told.append(seen([one.said for one in found.talk if one.half == half], weights, rules))
        steps.done()
    limits = {
        language: chosen(
            [one for one in judged if one.language == language],
            [one for one in told[0] if one.language == language],
        )
        for language in LANGUAGES
    }
    steps.begin("all together")
    weights = learner.learned(_every, _every)
    limits = _quiet(limits, seen([one.said for one in found.talk], weights, rules))
    weights = limited(weights, limits)
    steps.done()
    rows = _figures(found, {author: limited(one, limits) for author, one in folds.items()}, limits)
    rows += _talk_rows(found.talk, told, limits)
    steps.done()
    return Made(weights, rows)


def _quiet(limits: Mapping[str, Limits], talk: Sequence[Seen]) -> dict[str, Limits]:
    """The limits, high enough to raise nothing in what was learned to be innocent."""
    return {
        language: replace(
            one,
            limit=max(one.limit, quiet_from(seen for seen in talk if seen.language == language)),
        )
        for language, one in limits.items()
    }


def _every(_: Said | Talk) -> bool:
    return True


def _of_others_than(author: str) -> Callable[[Said], bool]:
    return lambda one: one.author != author


def _in_the_other(half: int) -> Callable[[Talk], bool]:
    return lambda one: one.half != half


def _flagged(said: Said, rules: RuleSet) -> tuple[bool, str | None]:
    found = gravest(rules.match(said.units, _SPEAKER), _SPEAKER)
    if found is None or not found[1].raised:
        return False, None
    return True, found[0].rule.category


def _figures(
    found: Matter, folds: Mapping[str, Weights], limits: Mapping[str, Limits]
) -> list[dict[str, Any]]:
    """A row per language and per category, for rules alone and with hunches."""
    alone, answers = RuleSet(found.book), []
    for author, weights in folds.items():
        both = RuleSet(replace(found.book, hunch=weights))
        for one in found.phrases:
            if one.author == author:
                answers.append((one, _flagged(one, alone)[0], *_flagged(one, both)))
    places = [(ALL, ALL)]
    places += [(language, ALL) for language in sorted({one[0].language for one in answers})]
    places += [(author, ALL) for author in folds] + [(ALL, category) for category in CATEGORIES]
    rows = []
    for place, category in places:
        mine = [
            one
            for one in answers
            if place in (ALL, one[0].language, one[0].author) and category in (ALL, one[0].category)
        ]
        attempts = [one for one in mine if one[0].violation]
        innocent = [one for one in mine if not one[0].violation]
        raised = [one for one in attempts if one[2]]
        rows.append(
            {
                "phrases": place,
                "category": category,
                "violations": len(attempts),
                "recall_of_rules": share(sum(one[1] for one in attempts), len(attempts)),
                "recall": share(len(raised), len(attempts)),
                "benign": len(innocent),
                "benign_flagged_by_rules": share(sum(one[1] for one in innocent), len(innocent)),
                "benign_flagged": share(sum(one[2] for one in innocent), len(innocent)),
                "right_category": share(sum(one[3] == one[0].category for one in raised), len(raised)),
                "limits": {name: [one.limit, one.sure] for name, one in limits.items()},
            }
        )
    return rows


def _talk_rows(
    talk: Sequence[Talk], told: Sequence[Sequence[Seen]], limits: Mapping[str, Limits]
) -> list[dict[str, Any]]:
    """What would be raised in each half by weights learned from the other."""
    rows = []
    for language in LANGUAGES:
        for half, name in ((0, "choosing"), (1, "judging")):
            alarms = sum(
                limits[one.language].flags(one) for one in told[half] if one.said.language == language
            )
            time = hours([one for one in talk if one.half == half], language)
            rows.append(
                {
                    "phrases": f"{language}, natural talk, {name}",
                    "category": ALL,
                    "hours": time,
                    "alarms": alarms,
                    "false_per_hour": alarms / time if time else None,
                }
            )
    return rows


async def measure(effort: Effort, steps: Steps) -> list[dict[str, Any]]:
    """The figures alone."""
    return (await made(matter((), steps), effort, steps)).rows


def _cells(row: Mapping[str, Any]) -> Sequence[Any]:
    return [row["phrases"], row["category"], *(row.get(name) for name in _FIGURES)]


_FIGURES = (
    "violations",
    "recall_of_rules",
    "recall",
    "benign",
    "benign_flagged_by_rules",
    "benign_flagged",
    "right_category",
    "alarms",
    "false_per_hour",
)


def misses(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Targets that are missed."""
    said = []
    for row in rows:
        if "hours" in row:
            goal = GOALS_PER_HOUR[row["phrases"][:2]]
            if (row["false_per_hour"] or 0.0) > goal:
                said.append(f"{row['phrases']}: {row['false_per_hour']:.2f} an hour; {goal} may be.")
        elif row["phrases"] in ("zh", "en"):
            if row["recall"] is not None and row["recall"] < RECALL:
                said.append(f"{row['phrases']}: {row['recall']:.2f} of attempts; {RECALL} should be.")
            if row["benign_flagged"] is not None and row["benign_flagged"] > FALSE:
                said.append(f"{row['phrases']}: {row['benign_flagged']:.3f} of innocent; {FALSE} may be.")
    return said


SCRIPT = Script(
    "Do hunches find attempts by authors they never learned from, and leave the innocent alone?",
    partial(measure, Effort()),
    partial(measure, _QUICK),
    (
        "phrases",
        "category",
        "attempts",
        "rules",
        "both",
        "innocent",
        "rules",
        "both",
        "category",
        "alarms",
        "per h",
    ),
    _cells,
    misses,
    timed=False,
)

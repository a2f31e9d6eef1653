"""How many of the spoken attempts are heard, by each engine and by all together, in clean sound and in worse?

Every phrase goes through the live hearing chain by itself, in chunks of 20 ms, as `guardian listen` does.
Heard: a violation of the phrase is confirmed. Beside it stands what the rules make of the words that the
engine recognised, all at once, and of the phrase as it is written: no engine can be better than the last.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from guardian.bench.drawing import Bars, bars
from guardian.bench.moderation.arithmetic import share
from guardian.bench.moderation.listening import ENGINES, SPEAKER, Listening, Taken, listeners
from guardian.bench.moderation.recordings import LANGUAGES, Spoken, spoken
from guardian.bench.moderation.sounds import CLEAN, Condition, conditions, samples_of
from guardian.bench.moderation.tapes import Tapes
from guardian.bench.script import Row, Script, Steps
from guardian.core.errors import Unavailable
from guardian.core.rules import ENOUGH, RuleSet
from guardian.core.violations import Status
from guardian.ears import rules_for
from guardian.models import ModelStore
from guardian.speech.judging import judged

UNION = "all engines"
NOISE, LOSS = "recorded noise 10 dB", "Opus 32 kbit/s, 5% lost"
GOALS = {("zh", CLEAN.name): 0.90, ("zh", NOISE): 0.75, ("en", CLEAN.name): 0.70}
"""What all engines of a language together should hear."""


SLOW = frozenset({"pocketsphinx"})
FOR_SLOW = frozenset({CLEAN.name, LOSS})
"""Conditions in which the engine is measured that takes more time than all others together."""


@dataclass(frozen=True, slots=True)
class Effort:
    """One phrase of so many: in clean sound and in the noise that a target is for, and in other conditions.

    conditions: by name, None for all.
    """

    every: int
    every_other: int
    conditions: frozenset[str] | None


QUICK = Effort(9, 9, frozenset({CLEAN.name, NOISE, LOSS}))
WHOLE = Effort(1, 8, None)


@dataclass(frozen=True, slots=True)
class Judged:
    """What came of one phrase. words: whether the rules flag what was recognised, all of it at once."""

    phrase: Spoken
    told: bool
    words: bool
    detected: int
    retracted: int
    transcript: str


async def measure(effort: Effort, steps: Steps) -> list[Row]:
    """A row per condition, language and engine, and one for the engines of a language together."""
    phrases = {
        language: list(enumerate(one for one in spoken(language) if not one.written.apart))
        for language in LANGUAGES
    }
    wanted = [c for c in conditions() if effort.conditions is None or c.name in effort.conditions]
    rules, store, tapes = rules_for(""), ModelStore.default(), Tapes.named()
    engines: dict[str, dict[str, Listening]] = {}
    for language in LANGUAGES:
        engines[language], missing = listeners(store, ENGINES[language], rules, tapes)
        if not engines[language]:
            raise Unavailable(" ".join(missing))
    steps.expect(len(wanted) * len(LANGUAGES))
    rows: list[Row] = []
    for language in LANGUAGES:
        for condition in wanted:
            steps.begin(f"{language}, {condition.name}")
            able = {
                engine: listening
                for engine, listening in engines[language].items()
                if engine not in SLOW or condition.name in FOR_SLOW
            }
            every = effort.every if condition.name in (CLEAN.name, NOISE) else effort.every_other
            heard = await _condition(condition, phrases[language][::every], able)
            rows += _rows(language, condition.name, heard, rules)
            steps.done()
    return rows


async def _condition(
    condition: Condition, phrases: Sequence[tuple[int, Spoken]], engines: Mapping[str, Listening]
) -> dict[str, list[Judged]]:
    found: dict[str, list[Judged]] = {engine: [] for engine in engines}
    for number, phrase in phrases:
        await asyncio.sleep(0)  # here a signal ends the work
        sound = condition.change(samples_of(phrase.path), (phrase.t_start, phrase.t_end), number)
        for engine, listening in engines.items():
            found[engine].append(_judged(phrase, listening, listening.hear(sound)))
    return found


def _judged(phrase: Spoken, listening: Listening, taken: Taken) -> Judged:
    statuses = [change.status for change in taken.changes]
    return Judged(
        phrase,
        bool(taken.confirmed),
        any(hit.score >= ENOUGH for hit in listening.hits(taken)),
        statuses.count(Status.DETECTED),
        statuses.count(Status.RETRACTED),
        taken.transcript,
    )


def _rows(language: str, condition: str, heard: Mapping[str, Sequence[Judged]], rules: RuleSet) -> list[Row]:
    place = {"language": language, "condition": condition}
    rows = [{**place, "engine": engine, **_figures(judged, rules)} for engine, judged in heard.items()]
    if len(heard) > 1:
        together = [_together(same) for same in zip(*heard.values(), strict=True)]
        rows.append({**place, "engine": UNION, **_figures(together, rules)})
    else:
        rows[0]["alone"] = True
    return rows


def _together(same: Sequence[Judged]) -> Judged:
    """One phrase as all engines together have it."""
    return Judged(
        same[0].phrase,
        any(one.told for one in same),
        any(one.words for one in same),
        sum(one.detected for one in same),
        sum(one.retracted for one in same),
        " // ".join(one.transcript for one in same),
    )


def _figures(judged_: Sequence[Judged], rules: RuleSet) -> Row:
    attempts = [one for one in judged_ if one.phrase.written.violation]
    benign = [one for one in judged_ if not one.phrase.written.violation]

    def flagged(one: Judged) -> bool:
        return judged(one.phrase.written.phrase, rules, SPEAKER).flagged

    def part(of: Sequence[Judged], holds: Callable[[Judged], bool]) -> float | None:
        return share(sum(holds(one) for one in of), len(of))

    return {
        "attempts": len(attempts),
        "heard": part(attempts, lambda one: one.told),
        "heard_by_words": part(attempts, lambda one: one.words),
        "written": part(attempts, flagged),
        "benign": len(benign),
        "benign_flagged": part(benign, lambda one: one.told),
        "detected": sum(one.detected for one in judged_),
        "retracted": sum(one.retracted for one in judged_),
        "missed": [_telling(one) for one in attempts if not one.told],
        "flagged": [_telling(one) for one in benign if one.told],
    }


def _telling(one: Judged) -> Row:
    return {"file": one.phrase.path.name, "phrase": one.phrase.written.phrase, "heard": one.transcript}


def _cells(row: Row) -> Sequence[Any]:
    return (
        row["language"],
        row["condition"],
        row["engine"],
        row["attempts"],
        *(row[key] for key in ("heard", "heard_by_words", "written")),
        row["benign"],
        row["benign_flagged"],
        f"{row['retracted']}/{row['detected']}",
    )


def judging(rows: Sequence[Row]) -> dict[tuple[str, str], Row]:
    """The rows that targets are for, by language and condition: those of all engines together."""
    return {
        (row["language"], row["condition"]): row for row in rows if row["engine"] == UNION or row.get("alone")
    }


def misses(rows: Sequence[Row]) -> list[str]:
    """Targets of `GOALS` that are missed."""
    found = judging(rows)
    said = []
    for (language, condition), goal in GOALS.items():
        row = found.get((language, condition))
        if row is None or (row["heard"] or 0.0) < goal:
            heard = f"{row['heard']:.2f}" if row is not None and row["heard"] is not None else "none"
            said.append(f"{language}, {condition}: {heard} of the attempts are heard; {goal} should be.")
    return said


def drawing(rows: Sequence[Row]) -> str:
    """What is heard by condition: two diagrams for each language, of the sound itself and of the line."""
    charts = []
    for language in LANGUAGES:
        mine = [row for row in rows if row["language"] == language]
        goals = [goal for (of, _), goal in GOALS.items() if of == language]
        for where, on_line in (("where they are said", False), ("over a line", True)):
            of_chart = [
                r for r in mine if r["condition"] == CLEAN.name or ("Opus" in r["condition"]) == on_line
            ]
            names = list(dict.fromkeys(row["condition"] for row in of_chart))
            series = {
                engine: [
                    next((r["heard"] for r in mine if (r["condition"], r["engine"]) == (name, engine)), None)
                    for name in names
                ]
                for engine in dict.fromkeys(row["engine"] for row in mine)
            }
            title = f"Attempts heard {where}, {language}"
            charts.append(Bars(title, [_short(name) for name in names], series, "share", 1.0, goals))
    return bars(charts)


def _short(condition: str) -> str:
    """A name that fits under its bars."""
    return condition.rpartition(", ")[2].replace(" noise", "").replace(" kbit/s", "k")


SCRIPT = Script(
    "How many of the spoken attempts are heard, in clean sound and in worse?",
    partial(measure, WHOLE),
    partial(measure, QUICK),
    (
        "",
        "sound",
        "engine",
        "attempts",
        "heard",
        "by words",
        "written",
        "innocent",
        "flagged",
        "taken back",
    ),
    _cells,
    misses,
    drawing,
    timed=False,
)

"""How often is something flagged in speech in which nobody tries anything?

Recordings of people go through the live hearing chain, each by itself and by each engine. Engines that listen
by default hear all recordings in their language; a part of them goes to the slow engine, and to that of the
other language, which may well mistake it for an attempt in its own. Every violation that is confirmed is
listed. Where a transcript is known the rules judge it too: a violation of the same category in it was said
(a telephone number that is read out, say), so what was heard is right, though it is no attempt.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

from guardian.bench.moderation.arithmetic import Point, trade, upper_bound
from guardian.bench.moderation.det import curves
from guardian.bench.moderation.listening import ENGINES, SPEAKER, Listening, Taken, listeners
from guardian.bench.moderation.recordings import (
    ISOLATED,
    LANGUAGES,
    NATURAL,
    READ,
    Recording,
    innocent,
    spoken,
)
from guardian.bench.moderation.sounds import AFTER_S, chunked, followed, samples_of
from guardian.bench.moderation.tapes import Tapes
from guardian.bench.script import Row, Script, Steps
from guardian.core.errors import Unavailable
from guardian.core.rules import ENOUGH, Hit, RuleSet
from guardian.core.violations import Status, ViolationChange
from guardian.ears import rules_for
from guardian.models import ModelStore
from guardian.speech.judging import judged

GOALS_PER_HOUR = {"zh": 0.5, "en": 1.0}
"""What may be flagged in natural speech, by the engines of its language together."""
TOGETHER = "by default"
FOREIGN = {"zh": ("words-en",), "en": ("syllables-zh",)}
"""Engines of the other language that listen in a call that may be in either."""
SLOW = frozenset({"pocketsphinx"})
"""What stands in where nothing else is, and takes more time than all others."""
_SHORT_S = 0.5


@dataclass(frozen=True, slots=True)
class Effort:
    """One recording of so many, by kind, and one phrase of so many for the curve.

    others: one of so many of these recordings, for engines that do not listen to the language by default.
    """

    natural: int
    read: int
    isolated: int
    phrases: int
    others: int

    def every(self, kind: str) -> int:
        """One recording of so many."""
        return {NATURAL: self.natural, READ: self.read, ISOLATED: self.isolated}[kind]


QUICK, WHOLE = Effort(60, 10, 60, 15, 2), Effort(1, 1, 1, 1, 10)


@dataclass(frozen=True, slots=True)
class _Heard:
    """What one engine made of one recording."""

    recording: Recording
    taken: Taken
    hits: tuple[Hit, ...]


async def measure(effort: Effort, steps: Steps) -> list[Row]:
    """A row per language, kind of recording and engine, and for engines together, each with its alarms."""
    work = {
        (language, kind): innocent(language, kind)[:: effort.every(kind)]
        for language in LANGUAGES
        for kind in (NATURAL, READ, ISOLATED)
    }
    rules, store, tapes = rules_for(""), ModelStore.default(), Tapes.named()
    names = [engine for language in LANGUAGES for engine in ENGINES[language]]
    engines, missing = listeners(store, names, rules, tapes)
    if not engines:
        raise Unavailable(" ".join(missing))
    steps.expect(sum(len(found) for found in work.values()) + len(LANGUAGES))
    rows: list[Row] = []
    for (language, kind), recordings in work.items():
        own = {engine: engines[engine] for engine in ENGINES[language] if engine in engines}
        default = {engine: one for engine, one in own.items() if engine not in SLOW} or own
        foreign = {engine: engines[engine] for engine in FOREIGN[language] if engine in engines}
        others = {engine: one for engine, one in (own | foreign).items() if engine not in default}
        steps.begin(f"{language}, {kind}")
        heard = await _listened(recordings, default, steps)
        steps.begin(f"{language}, {kind}, other engines")
        heard |= await _listened(recordings[:: effort.others], others, None)
        new = [_row((language, kind, engine), [heard[engine]], rules) for engine in heard]
        new.append(_row((language, kind, TOGETHER), [heard[engine] for engine in default], rules))
        if kind == NATURAL:
            steps.begin(f"{language}, attempts for the curve")
            for row in new:
                if row["engine"] in own:
                    listening, mine = own[row["engine"]], heard[row["engine"]]
                    best = await _best(listening, language, effort.phrases)
                    false = [
                        [hit for hit in one.hits if not _said(one.recording, hit.rule.category, rules)]
                        for one in mine
                    ]
                    row["det"] = [asdict(point) for point in trade(best, false, _hours(mine))]
            steps.done()
        rows += new
    return rows


async def _listened(
    recordings: Sequence[Recording], engines: dict[str, Listening], steps: Steps | None
) -> dict[str, list[_Heard]]:
    found: dict[str, list[_Heard]] = {engine: [] for engine in engines}
    for recording in recordings:
        await asyncio.sleep(0)  # here a signal ends the work
        sound = chunked(followed(samples_of(recording.path)))
        for engine, listening in engines.items():
            taken = listening.hear(sound)
            found[engine].append(_Heard(recording, taken, listening.hits(taken)))
        if steps is not None:
            steps.done()
    return found


async def _best(listening: Listening, language: str, every: int) -> list[float]:
    """The best score in each attempt, 0 where no rule matched."""
    best: list[float] = []
    for phrase in [p for p in spoken(language) if p.written.violation and not p.written.apart][::every]:
        await asyncio.sleep(0)  # here a signal ends the work
        hits = listening.hits(listening.hear(chunked(followed(samples_of(phrase.path)))))
        best.append(max((hit.score for hit in hits), default=0.0))
    return best


def _said(recording: Recording, category: str, rules: RuleSet) -> bool:
    """Whether the rules find such a violation in the transcript too."""
    if not recording.text:
        return False
    answer = judged(recording.text, rules, SPEAKER)
    return answer.flagged and answer.category == category


def _hours(heard: Sequence[_Heard]) -> float:
    """Of the recordings themselves, without the silence that was put after them."""
    return sum(one.taken.seconds - AFTER_S for one in heard) / 3600


def _row(place: tuple[str, str, str], heard: Sequence[Sequence[_Heard]], rules: RuleSet) -> Row:
    """heard: the same recordings by one engine or more."""
    language, kind, engine = place
    hours = _hours(heard[0])
    alarms: list[Row] = []
    for same in zip(*heard, strict=True):
        alarms += _alarms(
            [change for one in same for change in one.taken.confirmed], same[0].recording, rules
        )
    false = sum(not alarm["said"] for alarm in alarms)
    work = [one.taken.work_s for of_engine in heard for one in of_engine]
    seconds = sum(one.taken.seconds for one in heard[0])
    return {
        "language": language,
        "recordings": kind,
        "engine": engine,
        "files": len(heard[0]),
        "hours": hours,
        "told": len(alarms),
        "said": len(alarms) - false,
        "per_hour": len(alarms) / hours,
        "false_per_hour": false / hours,
        "false_at_most_per_hour": upper_bound(false, hours),
        "retracted": sum(
            change.status is Status.RETRACTED for of in heard for one in of for change in one.taken.changes
        ),
        "lapses": sum(len(one.taken.lapses) for of in heard for one in of),
        "rtf": sum(w for w in work if w is not None) / seconds if all(w is not None for w in work) else None,
        "alarms": alarms,
    }


def _alarms(changes: Sequence[ViolationChange], recording: Recording, rules: RuleSet) -> list[Row]:
    """Violations of one recording; what two engines make of one moment and category is one."""
    alarms: list[Row] = []
    seen: list[ViolationChange] = []
    for change in sorted(changes, key=lambda one: one.t_start):
        same = (
            other
            for other in seen
            if other.category == change.category
            and change.t_start <= other.t_end + _SHORT_S
            and other.t_start <= change.t_end + _SHORT_S
        )
        if next(same, None) is not None:
            continue
        seen.append(change)
        alarms.append(
            {
                "file": recording.name,
                "t": round(change.t_start, 2),
                "rule": change.rule,
                "heard": change.heard,
                "score": change.score,
                "text": recording.text,
                "said": _said(recording, change.category, rules),
            }
        )
    return alarms


def _cells(row: Row) -> Sequence[Any]:
    return (
        f"{row['language']} {row['recordings']}",
        row["engine"],
        row["files"],
        row["hours"],
        row["told"],
        row["said"],
        row["per_hour"],
        row["false_per_hour"],
        row["false_at_most_per_hour"],
        row["retracted"],
    )


def misses(rows: Sequence[Row]) -> list[str]:
    """Targets that are missed, by what was told and was not said."""
    said = []
    for row in rows:
        if row["engine"] != TOGETHER:
            continue
        name = f"{row['language']} {row['recordings']}"
        goal = GOALS_PER_HOUR[row["language"]]
        if row["recordings"] == NATURAL and row["false_per_hour"] > goal:
            said.append(f"{name}: {row['false_per_hour']:.2f} false alarms an hour; {goal} may be.")
        if row["recordings"] == ISOLATED and row["told"] > row["said"]:
            said.append(f"{name}: {row['told'] - row['said']} false alarms; there should be none.")
    return said


def notes(rows: Sequence[Row]) -> list[str]:
    """A line for every violation that was confirmed: each is to be listened to."""
    return [
        f"{row['engine']}: {alarm['file']} at {alarm['t']:.1f} s: {alarm['rule']} ({alarm['score']:.2f}), "
        f"heard: {alarm['heard']}" + (f"; said: {alarm['text']}" if alarm["said"] else "")
        for row in rows
        if row["engine"] != TOGETHER
        for alarm in row["alarms"]
    ]


def drawing(rows: Sequence[Row]) -> str:
    """Attempts missed against false alarms per hour of natural speech, a curve for each engine."""
    named = {
        f"{row['language']}, {row['engine']}": [Point(**point) for point in row["det"]]
        for row in rows
        if row.get("det")
    }
    return curves("Attempts missed and false alarms, over the threshold of the score", named, ENOUGH)


SCRIPT = Script(
    "How often is something flagged in speech in which nobody tries anything?",
    partial(measure, WHOLE),
    partial(measure, QUICK),
    (
        "recordings",
        "engine",
        "files",
        "hours",
        "told",
        "as said",
        "told/h",
        "false/h",
        "at most (95 %)",
        "taken back",
    ),
    _cells,
    misses,
    drawing,
    notes,
    timed=False,
)

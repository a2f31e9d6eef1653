"""How long after the end of a phrase is its violation told?

In `listen`: each phrase at call pace in media time, as the only sound of an open line, and the time that
hearing it took beside that (`t_emitted`). In a call: two peers, a running server; the merchant says one
phrase after the other, from when its last sound is sent until the event is written. *After the phrase* counts
from the last sound of the phrase, *after the words* from the end of the words that the rule matched: what is
said after these makes the first smaller, down to less than nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from guardian.bench.moderation.arithmetic import share
from guardian.bench.moderation.calls import SaidPhrase, said_in_a_call
from guardian.bench.moderation.listening import ENGINES, Listening, Taken, listeners
from guardian.bench.moderation.recordings import LANGUAGES, Spoken, spoken
from guardian.bench.moderation.sounds import chunked, followed, samples_of
from guardian.bench.moderation.tapes import Tapes
from guardian.bench.pair import QUANTILES, percentiles
from guardian.bench.script import Row, Script, Steps
from guardian.core.errors import Unavailable
from guardian.core.violations import Status
from guardian.ears import rules_for
from guardian.models import ModelStore

GOALS_S = {"detected": 1.0, "confirmed": 1.5}
"""95 of 100 violations should be told earlier after their phrase."""
IN_A_CALL = "a call"


@dataclass(frozen=True, slots=True)
class Effort:
    """Attempts of each language that `listen` hears (one of so many), and that are said in a call."""

    every: int
    in_call: int


QUICK, WHOLE = Effort(10, 2), Effort(2, 8)


@dataclass(slots=True)
class _Delays:
    """Seconds by status, the first violation of each phrase."""

    after_phrase: dict[str, list[float]]
    after_words: dict[str, list[float]]
    phrases: int = 0
    detected: int = 0
    retracted: int = 0

    @classmethod
    def none(cls) -> _Delays:
        """Nothing told so far."""
        return cls({name: [] for name in GOALS_S}, {name: [] for name in GOALS_S})

    def add(self, taken: Taken, t_end: float) -> None:
        """What was told of one phrase that ends at `t_end`; the first violation counts."""
        self.phrases += 1
        for status in (Status.DETECTED, Status.CONFIRMED):
            first = next((change for change in taken.changes if change.status is status), None)
            if first is not None:
                self.after_phrase[status.value].append(first.t_emitted - t_end)
                self.after_words[status.value].append(first.t_emitted - first.t_end)
        self.detected += sum(change.status is Status.DETECTED for change in taken.changes)
        self.retracted += sum(change.status is Status.RETRACTED for change in taken.changes)

    def row(self, where: str, language: str) -> Row:
        """As it is written."""
        return {
            "where": where,
            "language": language,
            "phrases": self.phrases,
            "after_phrase_s": {name: percentiles(found) for name, found in self.after_phrase.items()},
            "after_words_s": {name: percentiles(found) for name, found in self.after_words.items()},
            "detected": self.detected,
            "retracted": self.retracted,
            "retraction_rate": share(self.retracted, self.detected),
        }


async def measure(effort: Effort, steps: Steps) -> list[Row]:
    """A row per engine in `listen`, and one per language in a call."""
    attempts = {
        language: [p for p in spoken(language) if p.written.violation and not p.written.apart]
        for language in LANGUAGES
    }
    rules, store = rules_for(""), ModelStore.default()
    engines: dict[str, dict[str, Listening]] = {}
    for language in LANGUAGES:
        # No tapes: the time that engines take is part of the answer.
        engines[language], missing = listeners(store, ENGINES[language], rules, Tapes(None))
        if not engines[language]:
            raise Unavailable(" ".join(missing))
    steps.expect(sum(map(len, engines.values())) + len(LANGUAGES))
    rows = []
    for language in LANGUAGES:
        for engine, listening in engines[language].items():
            steps.begin(f"listen with {engine}")
            rows.append(await _listened(engine, listening, language, attempts[language][:: effort.every]))
            steps.done()
    for language in LANGUAGES:
        steps.begin(f"a call, {language}")
        few = attempts[language][:: max(1, len(attempts[language]) // effort.in_call)][: effort.in_call]
        rows.append(_called(language, await said_in_a_call(few)))
        steps.done()
    return rows


async def _listened(engine: str, listening: Listening, language: str, phrases: Sequence[Spoken]) -> Row:
    delays = _Delays.none()
    for phrase in phrases:
        await asyncio.sleep(0)  # here a signal ends the work
        delays.add(listening.hear(chunked(followed(samples_of(phrase.path)))), phrase.t_end)
    return delays.row(f"listen, {engine}", language)


def _called(language: str, said: Sequence[SaidPhrase]) -> Row:
    delays = _Delays.none()
    for phrase in said:
        delays.phrases += 1
        for name, found in (("detected", phrase.detected_s), ("confirmed", phrase.confirmed_s)):
            delays.after_phrase[name] += [] if found is None else [found]
        delays.detected += phrase.detected_s is not None
        delays.retracted += phrase.retracted
    return delays.row(IN_A_CALL, language)


def _cells(row: Row) -> Sequence[Any]:
    def seconds(kind: str, name: str) -> str:
        found = [row[kind][name][quantile] for quantile in QUANTILES]
        return " ".join("-" if value is None else f"{value:.2f}" for value in found)

    rate = row["retraction_rate"]
    return (
        f"{row['where']} ({row['language']})",
        row["phrases"],
        row["detected"],
        *(seconds("after_phrase_s", name) for name in GOALS_S),
        *(seconds("after_words_s", name) for name in GOALS_S),
        None if rate is None else f"{rate:.1%}",
    )


def misses(rows: Sequence[Row]) -> list[str]:
    """Where the 95th percentile after the phrase is above its target."""
    said = []
    for row in rows:
        for name, goal in GOALS_S.items():
            found = row["after_phrase_s"][name]["p95"]
            where = f"{row['where']} ({row['language']})"
            if found is None:
                said.append(f"{where}: nothing was {name}.")
            elif found > goal:
                said.append(f"{where}: {name} {found:.2f} s after the phrase (p95); {goal} s may be.")
    return said


def notes(_rows: Sequence[Row]) -> list[str]:
    """What the figures are."""
    return ["Seconds after the phrase, then after the words that the rule matched: p50 p95 p99."]


SCRIPT = Script(
    "How long after the end of a phrase is its violation told?",
    partial(measure, WHOLE),
    partial(measure, QUICK),
    (
        "where",
        "phrases",
        "told",
        "detected",
        "confirmed",
        "after the words",
        "confirmed",
        "taken back",
    ),
    _cells,
    misses,
    notes=notes,
)

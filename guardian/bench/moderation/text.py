"""How many of the written phrases are flagged that should be, and how many that should not?

Each phrase is judged by itself, as `guardian rules test` does, as if a merchant had said it. Phrases that
words alone do not give away (tags `implicit`, `needs_video`) stand in rows of their own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from guardian.bench.drawing import Bars, bars
from guardian.bench.moderation.arithmetic import share
from guardian.bench.moderation.listening import SPEAKER
from guardian.bench.moderation.recordings import Written, written
from guardian.bench.script import Row, Script, Steps
from guardian.ears import rules_for
from guardian.speech.judging import judged

RECALL, FALSE = 0.92, 0.04
JUDGED = "offplatform_dev"
"""The table that the targets are for."""
ALL = "all"
APART = "not by words alone"
_MANY = 200
"""Phrases between two looks at whether to stop."""


async def measure(steps: Steps) -> list[Row]:
    """A row per table and language, per category, and for what words alone do not give away."""
    phrases = written()
    rules = rules_for("")
    steps.expect(len(phrases))
    steps.begin("written phrases")
    flagged: dict[Written, bool] = {}
    for number, phrase in enumerate(phrases):
        if not number % _MANY:
            await asyncio.sleep(0)  # here a signal ends the work
        flagged[phrase] = judged(phrase.phrase, rules, SPEAKER).flagged
        steps.done()
    return [
        row
        for source in dict.fromkeys(phrase.source for phrase in phrases)
        for row in _table([phrase for phrase in phrases if phrase.source == source], flagged.__getitem__)
    ]


def _table(phrases: Sequence[Written], flagged: Callable[[Written], bool]) -> list[Row]:
    fair = [phrase for phrase in phrases if not phrase.apart]
    rows = []
    for language in (ALL, *sorted({phrase.language for phrase in fair})):
        of_language = [phrase for phrase in fair if language in (ALL, phrase.language)]
        rows.append(_row((phrases[0].source, language, ALL), of_language, flagged))
    for category in sorted({phrase.category for phrase in fair}):
        of_category = [phrase for phrase in fair if phrase.category == category]
        rows.append(_row((phrases[0].source, ALL, category), of_category, flagged))
    apart = [phrase for phrase in phrases if phrase.apart]
    return [*rows, _row((phrases[0].source, ALL, APART), apart, flagged)] if apart else rows


def _row(place: tuple[str, str, str], phrases: Iterable[Written], flagged: Callable[[Written], bool]) -> Row:
    found: dict[bool, list[bool]] = {True: [], False: []}
    for phrase in phrases:
        found[phrase.violation].append(flagged(phrase))
    return {
        **dict(zip(("source", "language", "category"), place, strict=True)),
        "violations": len(found[True]),
        "recall": share(sum(found[True]), len(found[True])),
        "benign": len(found[False]),
        "benign_flagged": share(sum(found[False]), len(found[False])),
    }


def _cells(row: Row) -> Sequence[Any]:
    recall, false = row["recall"], row["benign_flagged"]
    return (
        row["source"],
        row["language"],
        row["category"],
        row["violations"],
        None if recall is None else f"{recall:.3f}",
        row["benign"],
        None if false is None else f"{false:.3f}",
    )


def misses(rows: Sequence[Row]) -> list[str]:
    """Languages of the development file in which a target is missed."""
    said = []
    for row in rows:
        if row["source"] != JUDGED or row["category"] != ALL:
            continue
        if row["recall"] is not None and row["recall"] < RECALL:
            said.append(
                f"{row['language']}: {row['recall']:.3f} of the attempts are flagged; {RECALL} should be."
            )
        if row["benign_flagged"] is not None and row["benign_flagged"] > FALSE:
            said.append(
                f"{row['language']}: {row['benign_flagged']:.3f} of the innocent are flagged; {FALSE} may be."
            )
    return said


def drawing(rows: Sequence[Row]) -> str:
    """Recall and false flags by table and language."""
    whole = [row for row in rows if row["category"] == ALL]
    names = [f"{row['source'].removeprefix('offplatform_')} {row['language']}" for row in whole]
    return bars(
        [
            Bars(
                "Attempts flagged",
                names,
                {"flagged": [row["recall"] for row in whole]},
                "share",
                1.0,
                [RECALL],
            ),
            Bars(
                "Innocent phrases flagged",
                names,
                {"flagged": [row["benign_flagged"] for row in whole]},
                "share",
                0.2,
                [FALSE],
            ),
        ]
    )


SCRIPT = Script(
    "How many written phrases are flagged that should be, and how many that should not?",
    measure,
    measure,
    ("table", "language", "category", "attempts", "flagged", "innocent", "flagged"),
    _cells,
    misses,
    drawing,
    timed=False,
)

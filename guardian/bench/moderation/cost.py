"""What does hearing cost on one leg: processor time for a second of sound, and memory, by engine?

Every engine has a process of its own and hears the same clips on one thread through the live hearing chain,
voice activity and rules included (`guardian.bench.speech`). Memory is that of the whole process, of which
Python, the libraries and the rules are the larger part. The row of the default is what a call in either
language costs: every second of sound goes through the engines of both.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from itertools import chain, zip_longest
from typing import Any

import numpy as np

from guardian.bench.moderation.recordings import LANGUAGES
from guardian.bench.one_engine import Clip, Job
from guardian.bench.script import Row, Script, Steps
from guardian.bench.speech import FULL, PLAN, SHORT, Amount, clips, in_its_process
from guardian.core.errors import Unavailable
from guardian.demo.show import shared_media

GOAL = 0.05
DEFAULT = "auto"


async def measure(amount: Amount, steps: Steps) -> list[Row]:
    """A row per engine, and one for those that listen in a call by default."""
    said: list[str] = []
    found = clips(shared_media(), amount.clips, said.append)
    if not all(found.values()):
        raise Unavailable(" ".join(said))
    jobs = [Job(engine, language, amount.seconds, tuple(found[language])) for engine, language in PLAN]
    jobs.append(Job(DEFAULT, "+".join(LANGUAGES), amount.seconds, _by_turns(found["zh"], found["en"])))
    steps.expect(len(jobs))
    rows = []
    for job in jobs:
        steps.begin(job.engine)
        # A thread, so that a signal is not waited with.
        rows.append(_row(job, *await asyncio.to_thread(in_its_process, job)))
        steps.done()
    return rows


def _by_turns(*lists: Sequence[Clip]) -> tuple[Clip, ...]:
    return tuple(clip for clip in chain.from_iterable(zip_longest(*lists)) if clip is not None)


def _row(job: Job, found: Row, why: str) -> Row:
    late: Sequence[float] = found.get("latency_s", ())
    return {
        "engine": job.engine,
        "language": job.language,
        "clips": found.get("clips", 0),
        "rtf": found.get("rtf"),
        "rss_mb": found.get("rss_mb"),
        "pss_mb": found.get("pss_mb"),
        "latency_s": round(float(np.percentile(late, 95)), 3) if late else None,
        "why": why,
    }


def _cells(row: Row) -> Sequence[Any]:
    rtf = row["rtf"]
    return (
        row["engine"],
        row["language"],
        row["clips"],
        None if rtf is None else f"{rtf:.3f}",
        row["pss_mb"],
        row["rss_mb"],
    )


def misses(rows: Sequence[Row]) -> list[str]:
    """Whether the engines that listen by default cost too much."""
    row = next(row for row in rows if row["engine"] == DEFAULT)
    if row["rtf"] is None:
        return [f"What listens by default was not measured: {row['why']}"]
    if row["rtf"] > GOAL:
        return [f"Hearing takes {row['rtf']:.3f} of a core for each leg; {GOAL} may be."]
    return []


def notes(rows: Sequence[Row]) -> list[str]:
    """Why engines were not measured."""
    return [f"{row['engine']} was not measured: {row['why']}" for row in rows if row["why"]]


SCRIPT = Script(
    "What does hearing cost on one leg, by engine?",
    partial(measure, FULL),
    partial(measure, SHORT),
    ("engine", "language", "clips", "real-time factor", "PSS MB", "RSS MB"),
    _cells,
    misses,
    notes=notes,
)

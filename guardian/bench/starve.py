"""What does a call do when others take the CPU?

A protected call runs on a calm machine, then beside twice as many busy processes as there are cores, then on
a calm machine again. The picture carries a canary in the room, which must not arrive at any time. The peers
that measure are starved as well.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from math import ceil
from typing import Any

import numpy as np

from guardian.bench.boxes import BoxCall, guardian_box
from guardian.bench.camera import Film, SentTimes
from guardian.bench.live_camera import LiveCamera, Seen, frozen_s
from guardian.bench.pair import Pair
from guardian.bench.script import Row, Script, Steps
from guardian.bench.soundcode import CodedVoice
from guardian.bench.timeline import Band, Curve, timeline
from guardian.core.frames import State
from guardian.core.ladder import STEPS
from guardian.core.violations import Role

FILM = Film((640, 480), 30)
BACK = 0.8
"""Share of the calm frame rate that has to be there again at the end."""
PHASES = ("calm", "starved", "calm again")
_FIRST_S, _SETTLE_S, _LAST_S = 60.0, 6.0, 5.0
_PER_CORE = 2
_COLOURS = {
    State.ARMED: "#7a9b3f",
    State.WARMING: "#9a9a9a",
    State.DEGRADED: "#d1a22c",
    State.FAILED: "#c0392b",
}


@dataclass(frozen=True, slots=True)
class Effort:
    """Seconds of each phase."""

    seconds: tuple[float, float, float]


QUICK = Effort((5.0, 10.0, 20.0))
WHOLE = Effort((10.0, 25.0, 45.0))


@dataclass(slots=True)
class Watch:
    """What was seen of the call, and what it said of itself: (monotonic seconds, protection)."""

    seen: Seen
    said: list[tuple[float, dict[str, Any]]] = field(default_factory=list)
    ends: list[float] = field(default_factory=list)
    uncovered: list[int] = field(default_factory=list)


async def measure(effort: Effort, steps: Steps) -> list[Row]:
    """A row for each phase; the last holds the whole course."""
    steps.expect(len(PHASES))
    sent = SentTimes.none()
    watch = Watch(Seen(FILM, sent))
    async with guardian_box(1) as guardian, guardian.call() as call, asyncio.TaskGroup() as tasks:
        pair = Pair({Role.SHOPPER: [CodedVoice(), LiveCamera(FILM, sent)], Role.MERCHANT: [CodedVoice()]})
        try:
            await call.connect(pair, {})
            watching = pair.watch(tasks, {(Role.MERCHANT, "video"): watch.seen.take})
            async with asyncio.timeout(_FIRST_S):
                await watch.seen.first.wait()
            await asyncio.sleep(_SETTLE_S)
            asking = tasks.create_task(_ask(call, watch))
            watch.ends.append(time.monotonic())
            for phase, seconds in zip(PHASES, effort.seconds, strict=True):
                steps.begin(phase)
                before = watch.seen.uncovered
                async with _busy(_PER_CORE * (os.cpu_count() or 1) if phase == "starved" else 0):
                    await asyncio.sleep(seconds)
                watch.ends.append(time.monotonic())
                watch.uncovered.append(watch.seen.uncovered - before)
                steps.done()
            for task in (asking, *watching):
                task.cancel()
        finally:
            await pair.close()
    return _rows(watch)


async def _ask(call: BoxCall, watch: Watch) -> None:
    while True:
        try:
            async with asyncio.timeout(10.0):
                protection = (await call.status())["protection"]
        except TimeoutError:
            continue
        watch.said.append((time.monotonic(), protection))


@asynccontextmanager
async def _busy(count: int) -> AsyncIterator[None]:
    """So many processes that do nothing but run."""
    hogs = [
        await asyncio.create_subprocess_exec(sys.executable, "-c", "while True: pass") for _ in range(count)
    ]
    try:
        yield
    finally:
        for hog in hogs:
            hog.kill()
        for hog in hogs:
            await hog.wait()


# --- figures ----------------------------------------------------------------------------------


def _rows(watch: Watch) -> list[Row]:
    rows = []
    for at, phase in enumerate(PHASES):
        began, ended = watch.ends[at], watch.ends[at + 1]
        said = [protection for when, protection in watch.said if began <= when < ended]
        rows.append(
            {
                "phase": phase,
                "seconds": round(ended - began, 1),
                **_pictures(watch.seen, began, ended),
                "fps_at_the_end": _pictures(watch.seen, max(ended - _LAST_S, began), ended)["fps"],
                "most_steps": max((one["step"] for one in said), default=None),
                "states": sorted({one["state"] for one in said}),
                "uncovered": watch.uncovered[at],
            }
        )
    rows[-1]["course"] = _course(watch)
    return rows


def _pictures(seen: Seen, began: float, ended: float) -> dict[str, Any]:
    late = [ms for at, ms in zip(seen.new_at, seen.delay_ms, strict=True) if began <= at < ended]
    return {
        "fps": round(len(late) / (ended - began), 1),
        "latency_ms": {
            name: round(float(np.percentile(late, share)), 1) if late else None
            for name, share in (("p50", 50), ("p95", 95))
        },
        "freeze_ratio": round(frozen_s(seen.new_at, began, ended) / (ended - began), 4),
    }


def _course(watch: Watch) -> list[dict[str, Any]]:
    """What was, second by second."""
    start, course = watch.ends[0], []
    for second in range(int(watch.ends[-1] - start)):
        began = start + second
        figures = _pictures(watch.seen, began, began + 1)
        said = [protection for when, protection in watch.said if when <= began + 1]
        course.append(
            {
                "second": second,
                "fps": figures["fps"],
                "latency_ms": figures["latency_ms"]["p95"],
                "step": said[-1]["step"] if said else 0,
                "state": said[-1]["state"] if said else str(State.ARMED),
            }
        )
    return course


def _cells(row: Row) -> Sequence[Any]:
    return (
        row["phase"],
        row["fps"],
        row["fps_at_the_end"],
        *row["latency_ms"].values(),
        f"{row['freeze_ratio']:.1%}",
        row["most_steps"],
        ", ".join(row["states"]),
        row["uncovered"],
    )


def _misses(rows: Sequence[Row]) -> list[str]:
    said = [
        f"{row['phase']}: {row['uncovered']} pictures came uncovered." for row in rows if row["uncovered"]
    ]
    calm, _, after = rows
    if not calm["fps"]:
        said.append("No picture came on a calm machine; nothing can be compared.")
    elif after["fps_at_the_end"] < BACK * calm["fps"]:
        said.append(f"{after['fps_at_the_end']} pictures a second in the end, {calm['fps']} before.")
    return said


def _drawing(rows: Sequence[Row]) -> str:
    course = rows[-1]["course"]
    began = rows[0]["seconds"]
    seconds = sum(row["seconds"] for row in rows)
    spans = [(one["second"], min(one["second"] + 1, seconds), one["state"]) for one in course]

    def points(name: str) -> list[tuple[float, float | None]]:
        return [(one["second"] + 0.5, one[name]) for one in course]

    highest = max(1.0, *(one["latency_ms"] or 0.0 for one in course))
    return timeline(
        (
            Curve("new pictures a second, as the merchant sees them", points("fps"), FILM.fps * 4 / 3),
            Curve(
                "how late they are, p95 of each second, ms", points("latency_ms"), ceil(highest / 100) * 100
            ),
            Curve("steps down the ladder", points("step"), len(STEPS) - 1),
        ),
        Band("state of protection", spans, {str(state): colour for state, colour in _COLOURS.items()}),
        (began, began + rows[1]["seconds"]),
        seconds,
    )


SCRIPT = Script(
    "What does a call do when others take the CPU?",
    partial(measure, WHOLE),
    partial(measure, QUICK),
    ("phase", "fps", "at the end", "late p50", "p95", "frozen", "steps", "states", "uncovered"),
    _cells,
    _misses,
    _drawing,
)

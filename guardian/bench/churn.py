"""Does anything grow when calls come and go, and does the end of one disturb another?

Calls are opened a few at a time, each until its first protected picture arrives, and hung up. After every
ten, when all are gone, threads, descriptors and memory of the server and of this process are counted; both
run on, call processes do not. Then a call goes on while others beside it are hung up one by one.
"""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any

import httpx
import numpy as np
import psutil

from guardian.bench.boxes import BoxCall, GuardianBox, guardian_box
from guardian.bench.camera import Film, encoded_loop
from guardian.bench.load import pss_mb
from guardian.bench.pair import Delays, Pair, numbered_pair
from guardian.bench.script import Row, Script, Steps
from guardian.core.errors import CallFailed
from guardian.core.violations import Role
from guardian.demo.voices import Line, english_lines

GROWTH = {"threads": 2.0, "descriptors": 3.0, "MB": 0.1}
"""Most that may come to stay: threads and descriptors over the whole run, MiB per call."""
DELAYED_MS = 20.0
"""Most that a picture of another call may come later because a call ends."""

_OTHERS = Film((640, 480), 10)
_STEADY = Film((640, 480), 30)
_PICTURE_S = 60.0
_GONE_S, _LOOK_S = 15.0, 0.2
_SETTLING_S = 6.0
"""Longer than an HTTP connection is kept open for another request."""
_WINDOW_S = 2.2
"""A little more than 64 pictures of the steady film, so that each window holds the same events of it."""
_PAUSE_S = 4.0
"""Until what opening a call costs is over."""


@dataclass(frozen=True, slots=True)
class Effort:
    """Calls to open in all, a multiple of `batch`, after which samples are taken; how many at once; how
    many to hang up beside another."""

    calls: int
    batch: int
    at_once: int
    closings: int


QUICK = Effort(20, 10, 2, 4)
WHOLE = Effort(200, 10, 4, 12)


@dataclass(frozen=True, slots=True)
class Sample:
    """What a process holds."""

    threads: int
    descriptors: int
    mb: float

    @classmethod
    def of(cls, process: psutil.Process) -> Sample:
        """Now."""
        return cls(process.num_threads(), process.num_fds(), pss_mb(process))


@dataclass(frozen=True, slots=True)
class Open:
    """A call in progress."""

    box: BoxCall
    pair: Pair
    seen: dict[Role, Delays]


async def measure(effort: Effort, steps: Steps) -> list[Row]:
    """A row for each figure of each process, one for the calls, one for the pictures of the other call."""
    lines = english_lines()
    for film in (_OTHERS, _STEADY):
        await asyncio.to_thread(encoded_loop, film)
    steps.expect(effort.calls + effort.closings)
    async with guardian_box(effort.at_once + 1) as guardian:
        began = time.monotonic()
        failures, samples = await _churn(guardian, lines, effort, steps)
        seconds = time.monotonic() - began
        closing = await _closings(guardian, lines, effort, steps)
    calls = {
        "what": "calls, seconds each",
        "before": effort.calls,
        "after": effort.calls - len(failures),
        "per_call": seconds / effort.calls,
        "failures": failures,
    }
    rows = [
        calls,
        *(row for name, found in samples.items() for row in _growth(name, found, effort.batch)),
        closing,
    ]
    return [{key: _rounded(value) for key, value in row.items()} for row in rows]


# --- calls that come and go -------------------------------------------------------------------


async def _churn(
    guardian: GuardianBox, lines: tuple[Line, ...], effort: Effort, steps: Steps
) -> tuple[list[str], dict[str, list[Sample]]]:
    """Why calls showed no picture, and samples after each batch."""
    samples: dict[str, list[Sample]] = {"server": [], "measuring peers": []}
    failures: list[str] = []
    room = asyncio.Semaphore(effort.at_once)

    async def one() -> None:
        async with room:
            try:
                await _come_and_go(guardian, lines)
            except* (CallFailed, TimeoutError, httpx.HTTPError) as group:
                failures.append(_reason(group))
            steps.done()

    for batch in range(effort.calls // effort.batch):
        steps.begin(f"calls {batch * effort.batch + 1} to {(batch + 1) * effort.batch}")
        async with asyncio.TaskGroup() as tasks:
            for _ in range(effort.batch):
                tasks.create_task(one())
        await _all_gone(guardian)
        gc.collect()
        server, peers = await _settled_samples(guardian.server, psutil.Process())
        samples["server"].append(server)
        samples["measuring peers"].append(peers)
    return failures, samples


async def _settled_samples(*processes: psutil.Process) -> list[Sample]:
    """The least of many looks at each: connections kept for the next request are not what stays."""
    looks = []
    for _ in range(round(_SETTLING_S / _LOOK_S)):
        looks.append([Sample.of(process) for process in processes])
        await asyncio.sleep(_LOOK_S)
    return [
        Sample(min(s.threads for s in of), min(s.descriptors for s in of), min(s.mb for s in of))
        for of in zip(*looks, strict=True)
    ]


def _reason(group: BaseExceptionGroup[Exception]) -> str:
    """The first error of a group of groups: its sentence, or its name when it has none."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return str(error) or type(error).__name__


async def _come_and_go(guardian: GuardianBox, lines: tuple[Line, ...]) -> None:
    """Opens a call, waits for its first pictures, hangs up. CallFailed, TimeoutError, in a group."""
    async with AsyncExitStack() as stack, asyncio.TaskGroup() as tasks:
        call, watching = await _settled(await _open(guardian, _OTHERS, lines, stack), tasks)
        async with asyncio.timeout(_PICTURE_S):
            await call.seen[Role.MERCHANT].first.wait()
        for task in watching:
            task.cancel()


async def _open(guardian: GuardianBox, film: Film, lines: tuple[Line, ...], stack: AsyncExitStack) -> Open:
    """Two peers connected to a call of their own; both are closed with the stack."""
    box = await stack.enter_async_context(guardian.call())
    pair, seen = numbered_pair(film, lines)
    stack.push_async_callback(pair.close)
    await box.connect(pair, {})
    return Open(box, pair, seen)


async def _all_gone(guardian: GuardianBox) -> None:
    """Waits until the server has no call process left."""
    for _ in range(round(_GONE_S / _LOOK_S)):
        if not guardian.server.children():
            return
        await asyncio.sleep(_LOOK_S)


# --- what another call notices ----------------------------------------------------------------


async def _closings(guardian: GuardianBox, lines: tuple[Line, ...], effort: Effort, steps: Steps) -> Row:
    """Worst delays of a call's pictures while another is hung up, and after that, alone. One at a time: more
    calls than cores delay each other by more than any ending does."""
    windows: list[tuple[list[float], list[float], list[float]]] = []
    async with AsyncExitStack() as stack, asyncio.TaskGroup() as tasks:
        steady, watching = await _settled(await _open(guardian, _STEADY, lines, stack), tasks)
        for turn in range(effort.closings):
            steps.begin(f"hanging up beside another call: {turn + 1} of {effort.closings}")
            async with AsyncExitStack() as other:
                beside, theirs = await _settled(await _open(guardian, _OTHERS, lines, other), tasks)
                watching += theirs
                await asyncio.sleep(_PAUSE_S)
                closing = await _delays(steady, beside.box)
            windows.append((closing, await _delays(steady, None), await _delays(steady, None)))
            steps.done()
        for task in watching:
            task.cancel()
    return _noticed(windows)


def _noticed(windows: Sequence[tuple[list[float], list[float], list[float]]]) -> Row:
    """Worst delays alone and while a call ended; per_call is the median of each closing less the calm just
    after it, noise_ms the same of that calm and the next."""
    worst = [tuple(max(delays) for delays in three) for three in windows if all(three)]
    later = [closing - calm for closing, calm, _ in worst]
    return {
        "what": "worst delay of another call's picture, ms",
        "before": float(np.median([calm for _, calm, _ in worst])) if worst else None,
        "after": float(np.median([closing for closing, *_ in worst])) if worst else None,
        "per_call": float(np.median(later)) if later else None,
        # Of a median, as if they lay normally.
        "error_ms": 1.25 * float(np.std(later)) / len(later) ** 0.5 if later else None,
        "noise_ms": float(np.median([abs(calm - next_) for _, calm, next_ in worst])) if worst else None,
        "later_ms": later,
        "pictures": [sum(len(three[at]) for three in windows) for at in range(3)],
    }


async def _settled(call: Open, tasks: asyncio.TaskGroup) -> tuple[Open, list[asyncio.Task[None]]]:
    """The call once the shopper sees the merchant, and what watches it: that ends with the tracks."""
    watching = call.pair.watch(tasks, {(role, "video"): call.seen[role].take for role in Role})
    async with asyncio.timeout(_PICTURE_S):
        await call.seen[Role.SHOPPER].first.wait()
    return call, watching


async def _delays(steady: Open, ending: BoxCall | None) -> list[float]:
    """Delays of the pictures both sides saw in the next moments, in which `ending` is hung up."""
    for seen in steady.seen.values():
        seen.seen_ms.clear()
        seen.measuring = True
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(asyncio.sleep(_WINDOW_S))
        if ending is not None:
            tasks.create_task(_hang_up(ending))
    for seen in steady.seen.values():
        seen.measuring = False
    return [ms for seen in steady.seen.values() for ms in seen.seen_ms]


async def _hang_up(call: BoxCall) -> None:
    await call.hang_up()


# --- figures ----------------------------------------------------------------------------------


def _growth(name: str, samples: Sequence[Sample], batch: int) -> list[Row]:
    """First and last sample of each figure, and the slope of a line through all of them, per call."""
    rows = []
    for what, values in (
        ("threads", [float(sample.threads) for sample in samples]),
        ("descriptors", [float(sample.descriptors) for sample in samples]),
        ("MB", [sample.mb for sample in samples]),
    ):
        slope = float(np.polyfit(np.arange(len(values)) * batch, values, 1)[0]) if len(values) > 1 else None
        rows.append({"what": f"{name}: {what}", "before": values[0], "after": values[-1], "per_call": slope})
    return rows


def misses(rows: Sequence[Row]) -> list[str]:
    """Sentences about what grew, what did not connect and what was delayed."""
    said = []
    for row in rows:
        what, before, after = row["what"], row["before"], row["after"]
        if "failures" in row:
            if row["failures"]:
                said.append(f"{before - after} of {before} calls showed no picture: {row['failures'][0]}")
        elif what.endswith("MB"):
            if (row["per_call"] or 0.0) > GROWTH["MB"]:
                said.append(f"{what} grew by {row['per_call']} for each call.")
        elif ": " in what:
            if after - before > GROWTH[what.split(": ")[1]]:
                said.append(f"{what} grew from {before:g} to {after:g}.")
        elif row["per_call"] is None:
            said.append("No picture of the other call was seen while calls ended.")
        elif row["per_call"] > DELAYED_MS:
            said.append(f"Pictures of another call came {row['per_call']:.0f} ms later while a call ended.")
    return said


def _rounded(value: Any) -> Any:
    if isinstance(value, list):
        return [_rounded(one) for one in value]
    return round(value, 4) if isinstance(value, float) else value


SCRIPT = Script(
    "Does anything grow when calls come and go, and does the end of one disturb another?",
    partial(measure, WHOLE),
    partial(measure, QUICK),
    ("what", "before", "after", "per call"),
    lambda row: (row["what"], row["before"], row["after"], row["per_call"]),
    misses,
)

"""Calls are added one by one until the machine has enough, and each step is measured.

Of the first call the delay is measured too; its people live in the process that measures, those of each
further call in one of their own.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import psutil

from guardian.bench.boxes import Box, BoxCall, GuardianBox, guardian_box
from guardian.bench.camera import Film, encoded_loop
from guardian.bench.light import light_pair
from guardian.bench.load import Load, Meter
from guardian.bench.memory import memory_pages, own_kb
from guardian.bench.pair import Delays
from guardian.core.errors import Unavailable
from guardian.core.violations import Role

Status = Callable[[], Awaitable[dict[str, Any]]]

_FIRST_S, _OPEN_S, _CLOSE_S = 40.0, 90.0, 20.0
_NO_SPARES = {"GUARDIAN_LIMITS__SPARES": "0"}
"""A process that waits for a call would be taken for one that costs something."""
LATE_MS = 150.0
"""Added at p95: a machine on which it is more has enough calls."""
OVER_BUDGET, CURTAIN, FRAME_RATE = 0.25, 0.02, 0.8
"""Shares of the pictures that took too long, that were not shown, and of those sent that arrived."""


@dataclass(frozen=True, slots=True)
class Span:
    """How long is waited after the first picture, and measured then, in seconds."""

    settle_s: float
    measure_s: float


@dataclass(frozen=True, slots=True)
class Rung:
    """What so many calls cost. seen_ms, fps: of the pictures the first merchant saw; load: None for a direct
    connection; frames: pictures of the span by what became of them, of all calls; mb: of each process of the
    box, largest first: shared out (PSS), and what is no file's."""

    calls: int
    seen_ms: list[float]
    fps: float
    load: Load | None
    statuses: list[dict[str, Any]]
    frames: Mapping[str, int]
    mb: list[tuple[float, float]]


async def measure_one(box: Box, film: Film, span: Span) -> Rung:
    """A single call through any box."""
    await asyncio.to_thread(encoded_loop, film)
    async with box() as call, _watched(call, film) as seen:
        return await _rung(call.processes, [call.status], seen, span)


async def climb(film: Film, span: Span, most: int, floor_ms: float) -> AsyncIterator[Rung]:
    """A rung for 1, 2, … calls through one Guardian, to the first that is too many, or to `most`."""
    await asyncio.to_thread(encoded_loop, film)
    async with AsyncExitStack() as stack:
        guardian = await stack.enter_async_context(guardian_box(most, _NO_SPARES))
        first = await stack.enter_async_context(guardian.call())
        seen = await stack.enter_async_context(_watched(first, film))
        statuses = [first.status]
        for calls in range(1, most + 1):
            if calls > 1:
                call_id = await stack.enter_async_context(_one_more(guardian, film))
                statuses.append(partial(guardian.status, call_id))
            rung = await _rung(guardian.processes, statuses, seen, span)
            yield rung
            if too_many(rung, film, floor_ms) is not None:
                return


def too_many(rung: Rung, film: Film, floor_ms: float) -> str | None:
    """Why the machine has enough of so many calls; None while it carries them."""
    delays = sorted(rung.seen_ms)
    p95 = delays[int(0.95 * (len(delays) - 1))] - floor_ms if delays else None
    pictures = max(1, rung.frames["in"])
    if p95 is None:
        return "no picture came through"
    if p95 > LATE_MS:
        return f"pictures came {p95:.0f} ms later at p95"
    if rung.fps < FRAME_RATE * film.fps:
        return f"{rung.fps:.0f} pictures a second came"
    if rung.frames["over_budget"] > OVER_BUDGET * pictures:
        return f"{rung.frames['over_budget'] / pictures:.0%} of the pictures took more than the budget"
    if rung.frames["curtain"] > CURTAIN * pictures:
        return f"{rung.frames['curtain'] / pictures:.0%} of the pictures were not shown"
    return None


async def _rung(
    processes: Callable[[], list[psutil.Process]], statuses: Sequence[Status], seen: Delays, span: Span
) -> Rung:
    await asyncio.sleep(span.settle_s)
    before = await _all(statuses)
    meter = Meter(processes())
    seen.seen_ms.clear()
    seen.measuring = True
    await asyncio.sleep(span.measure_s)
    seen.measuring = False
    load = meter.read() if processes() else None
    after = await _all(statuses)
    return Rung(
        len(statuses),
        list(seen.seen_ms),
        len(seen.seen_ms) / span.measure_s,
        load,
        [status for status in after if status],
        _passed(before, after),
        sorted((_memory(process.pid) for process in processes()), reverse=True),
    )


async def _all(statuses: Sequence[Status]) -> list[dict[str, Any]]:
    async with asyncio.TaskGroup() as tasks:
        asked = [tasks.create_task(_ask(status)) for status in statuses]
    return [task.result() for task in asked]


async def _ask(status: Status) -> dict[str, Any]:
    return await status()


def _passed(before: Sequence[dict[str, Any]], after: Sequence[dict[str, Any]]) -> dict[str, int]:
    """Pictures between two accounts of the same calls."""
    kinds = ("in", "over_budget", "curtain")
    pairs = [(a["frames"], b["frames"]) for a, b in zip(before, after, strict=True) if b]
    return {kind: sum(b[kind] - a[kind] for a, b in pairs) for kind in kinds}


def _memory(pid: int) -> tuple[float, float]:
    pages = memory_pages(pid)
    return pages["Pss"] / 1024, own_kb(pages) / 1024


@asynccontextmanager
async def _watched(call: BoxCall, film: Film) -> AsyncIterator[Delays]:
    """The people of the first call, once the merchant sees the shopper."""
    pair, seen = light_pair(film)
    try:
        await call.connect(pair, {})
        pair.decode_only(((Role.MERCHANT, "video"),))
        async with asyncio.TaskGroup() as tasks:
            watching = pair.watch(tasks, {(Role.MERCHANT, "video"): seen.take})
            async with asyncio.timeout(_FIRST_S):
                await seen.first.wait()
            try:
                yield seen
            finally:
                for task in watching:
                    task.cancel()
    finally:
        await pair.close()


@asynccontextmanager
async def _one_more(guardian: GuardianBox, film: Film) -> AsyncIterator[str]:
    """The id of a further call, once its merchant gets pictures; its people are a process. Unavailable."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "guardian.bench.light",
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        told = {"url": guardian.url, "size": film.size, "fps": film.fps}
        process.stdin.write(json.dumps(told).encode() + b"\n")
        try:
            async with asyncio.timeout(_OPEN_S):
                call_id = (await process.stdout.readline()).decode().strip()
                if not call_id:
                    raise Unavailable("One more call could not be opened; nothing more is measured.")
        except TimeoutError as error:
            raise Unavailable("One more call showed no picture in time; nothing more is measured.") from error
        yield call_id
        process.stdin.close()
        async with asyncio.timeout(_CLOSE_S):
            await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()

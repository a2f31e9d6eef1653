"""One round of measuring: calls through one box, from the first picture on."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from guardian.bench.boxes import Box
from guardian.bench.camera import Film, encoded_loop
from guardian.bench.load import Load, Meter
from guardian.bench.pair import Delays, numbered_pair, other
from guardian.core.violations import Role
from guardian.demo.voices import Line

_FIRST_S = 40.0


@dataclass(frozen=True, slots=True)
class Plan:
    """What is measured: calls at once, who has a camera, seconds before and while measuring."""

    film: Film
    lines: tuple[Line, ...]
    settle_s: float
    measure_s: float
    calls: int = 1
    cameras: Sequence[Role] = tuple(Role)


@dataclass(frozen=True, slots=True)
class Round:
    """What came of it. seen_ms: delays of the pictures the merchants saw, or of those the shoppers saw
    where no shopper has a camera. load: of the box, None where there is none."""

    seen_ms: list[float]
    load: Load | None
    statuses: list[dict[str, Any]]


async def measure_round(box: Box, plan: Plan) -> Round:
    """Opens the calls, waits for their first pictures, lets them settle, measures, hangs up."""
    await asyncio.to_thread(encoded_loop, plan.film)
    async with AsyncExitStack() as stack:
        calls, delays = [], []
        for _ in range(plan.calls):
            call = await stack.enter_async_context(box())
            pair, seen = numbered_pair(plan.film, plan.lines, plan.cameras)
            stack.push_async_callback(pair.close)
            await call.connect(pair, {})
            calls.append((call, pair, seen))
            delays += [seen[other(role)] for role in plan.cameras]
        async with asyncio.TaskGroup() as tasks:
            watching = [
                task
                for _, pair, seen in calls
                for task in pair.watch(tasks, {(role, "video"): seen[role].take for role in Role})
            ]
            await _first_pictures(delays)
            await asyncio.sleep(plan.settle_s)
            processes = {process for call, *_ in calls for process in call.processes()}
            meter = Meter(list(processes))
            with _measuring(delays):
                await asyncio.sleep(plan.measure_s)
                load = meter.read() if processes else None
            statuses = [status for call, *_ in calls if (status := await call.status())]
            for task in watching:
                task.cancel()
        watcher = Role.MERCHANT if Role.SHOPPER in plan.cameras else Role.SHOPPER
        return Round([ms for *_, seen in calls for ms in seen[watcher].seen_ms], load, statuses)


async def _first_pictures(delays: Sequence[Delays]) -> None:
    """Waits until each has seen one; a box that lets none through is measured nevertheless."""
    try:
        async with asyncio.timeout(_FIRST_S):
            for one in delays:
                await one.first.wait()
    except TimeoutError:
        return


@contextmanager
def _measuring(delays: Sequence[Delays]) -> Iterator[None]:
    for one in delays:
        one.measuring = True
    yield
    for one in delays:
        one.measuring = False

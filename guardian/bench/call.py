"""How much delay and processor time a call through Guardian takes, beside a stock aiortc relay.

The two peers live in this process. A direct connection of the same run is measured first and its median taken
off, so that what is left is what the box in the middle adds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from guardian.bench.boxes import direct_call, guardian_box, stock_call
from guardian.bench.camera import Film, has_person
from guardian.bench.pair import percentiles
from guardian.bench.rounds import Plan, Round, measure_round
from guardian.demo.ending import run_until_told
from guardian.demo.voices import english_lines

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Effort:
    """What is measured, and for how many seconds after how many."""

    sizes: tuple[tuple[int, int], ...]
    calls: tuple[int, ...]
    settle_s: float
    measure_s: float


SHORT = Effort(((640, 480),), (1,), 4.0, 14.0)
FULL = Effort(((640, 480), (1280, 720)), (1, 2), 6.0, 40.0)


async def _guardian(plan: Plan) -> Round:
    async with guardian_box(plan.calls) as box:
        return await measure_round(box.call, plan)


async def _row(size: tuple[int, int], calls: int, effort: Effort, say: Say) -> dict[str, Any]:
    if not has_person():
        say("scikit-image is not installed, so the measured pictures show a room without a person.")
    one = Plan(Film(size), english_lines(), effort.settle_s, effort.measure_s)
    direct = await measure_round(direct_call, one)
    floor = float(np.median(direct.seen_ms)) if direct.seen_ms else 0.0
    stock = await measure_round(stock_call, one)
    guarded = await _guardian(Plan(one.film, one.lines, one.settle_s, one.measure_s, calls))
    if not guarded.seen_ms:
        say("No picture with a number came through Guardian; its delay could not be measured.")
    frames = [status["frames"] for status in guarded.statuses]
    return {
        "calls": calls,
        "size": f"{size[0]}x{size[1]}",
        "fps": one.film.fps,
        "cpu_per_call": round(guarded.load.cores / calls, 3) if guarded.load else None,
        "stock_cpu_per_call": round(stock.load.cores, 3) if stock.load else None,
        "protect_ms": _slowest(guarded.statuses, "protect"),
        "total_ms": _slowest(guarded.statuses, "total"),
        "direct_latency_ms": percentiles(direct.seen_ms),
        "added_latency_ms": percentiles(guarded.seen_ms, floor),
        "stock_relay_latency_ms": percentiles(stock.seen_ms, floor),
        "frames": sum(f["in"] for f in frames),
        "over_budget": sum(f["over_budget"] for f in frames),
        "curtain_frames": sum(f["curtain"] for f in frames),
        "rss_mb": round(guarded.load.pss_mb, 1) if guarded.load else None,
    }


def _slowest(statuses: list[dict[str, Any]], stage: str) -> dict[str, Any]:
    """The stage's percentiles of the call in which it was slowest."""
    found = [s["latency"][stage] for s in statuses if stage in s["latency"]]
    worst: dict[str, Any] = max(found, key=lambda numbers: numbers["p95"] or 0.0, default={})
    return {name: worst.get(name) for name in ("p50", "p95", "p99", "max")}


def measure(effort: Effort, say: Say) -> list[dict[str, Any]]:
    """One row per size and number of calls."""

    async def rows() -> list[dict[str, Any]]:
        return [await _row(size, calls, effort, say) for size in effort.sizes for calls in effort.calls]

    return run_until_told(rows())

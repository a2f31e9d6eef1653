"""How much delay and processor time calls through Guardian take, beside a stock aiortc relay.

Calls are added one by one until the machine has enough. A direct connection of the same run is measured first
and its median taken off, so that what is left is what the box in the middle adds. The people of the calls are
light (`light.py`), and what they take is not counted.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from guardian.bench.boxes import direct_call, stock_call
from guardian.bench.camera import Film, has_person
from guardian.bench.drawing import Bars, bars
from guardian.bench.ladder import Rung, Span, climb, measure_one, too_many
from guardian.bench.pair import percentiles
from guardian.capacity_file import size_of
from guardian.core.capacity import Load
from guardian.core.errors import Unavailable
from guardian.demo.ending import run_until_told

Say = Callable[[str], None]
Row = dict[str, Any]

CORES_PER_CALL = 0.35
"""The target at 640x480."""


@dataclass(frozen=True, slots=True)
class Effort:
    """What is measured: sizes, the most calls at once, seconds before and while measuring each number."""

    sizes: tuple[tuple[int, int], ...]
    most: int
    settle_s: float
    measure_s: float


SHORT = Effort(((640, 480),), 2, 3.0, 8.0)
FULL = Effort(((640, 480), (1280, 720)), 4 * (os.cpu_count() or 1), 6.0, 30.0)


async def _rows(size: tuple[int, int], effort: Effort, say: Say) -> list[Row]:
    film, span = Film(size), Span(effort.settle_s, effort.measure_s)
    direct = await measure_one(direct_call, film, span)
    floor = float(np.median(direct.seen_ms)) if direct.seen_ms else 0.0
    stock = await measure_one(stock_call, film, span)
    rows = []
    async for rung in climb(film, span, effort.most, floor):
        if not rung.seen_ms:
            say("No picture with a number came through Guardian; its delay could not be measured.")
        over = too_many(rung, film, floor)
        rows.append(_row(film, rung, over, (direct, stock)))
    return rows


def _row(film: Film, rung: Rung, over: str | None, beside: tuple[Rung, Rung]) -> Row:
    """beside: the direct connection and the stock relay, with one call each."""
    direct, stock = beside
    floor = float(np.median(direct.seen_ms)) if direct.seen_ms else 0.0
    cores = rung.load.cores if rung.load else None
    calls = rung.mb[: rung.calls]
    return {
        "calls": rung.calls,
        "size": f"{film.size[0]}x{film.size[1]}",
        "fps": film.fps,
        "cpu_per_call": _rounded(cores, rung.calls),
        "calls_per_core": round(rung.calls / cores, 2) if cores else None,
        "stock_cpu_per_call": _rounded(stock.load.cores if stock.load else None, 1),
        "protect_ms": _slowest(rung.statuses, "protect"),
        "total_ms": _slowest(rung.statuses, "total"),
        "direct_latency_ms": percentiles(direct.seen_ms),
        "added_latency_ms": percentiles(rung.seen_ms, floor),
        "stock_relay_latency_ms": percentiles(stock.seen_ms, floor),
        "frames": rung.frames["in"],
        "over_budget": rung.frames["over_budget"],
        "curtain_frames": rung.frames["curtain"],
        "arrived_fps": round(rung.fps, 1),
        "rss_mb": round(calls[0][0], 1) if calls else None,
        "own_mb_per_call": _rounded(sum(own for _, own in calls), len(calls)),
        "shared_mb_per_call": _rounded(sum(pss - own for pss, own in calls), len(calls)),
        "mb": round(sum(pss for pss, _ in rung.mb), 1),
        "too_many": over,
    }


def _rounded(whole: float | None, parts: int) -> float | None:
    return round(whole / parts, 3) if whole is not None and parts else None


def _slowest(statuses: Sequence[dict[str, Any]], stage: str) -> dict[str, Any]:
    """The stage's percentiles of the call in which it was slowest, since the call began."""
    found = [s["latency"][stage] for s in statuses if stage in s["latency"]]
    worst: dict[str, Any] = max(found, key=lambda numbers: numbers["p95"] or 0.0, default={})
    return {name: worst.get(name) for name in ("p50", "p95", "p99", "max")}


def measure(effort: Effort, say: Say) -> list[Row]:
    """A row per size and number of calls, to the first number that is too many for the machine."""

    async def rows() -> list[Row]:
        if not has_person():
            say("scikit-image is not installed, so the measured pictures show a room without a person.")
        return [row for size in effort.sizes for row in await _rows(size, effort, say)]

    return run_until_told(rows())


def carried(rows: Sequence[Row]) -> list[str]:
    """Of each size a sentence about how many calls the machine carried, and why not more."""
    said = []
    for size in dict.fromkeys(row["size"] for row in rows):
        of_size = [row for row in rows if row["size"] == size]
        fine = [row for row in of_size if row["too_many"] is None]
        over = next((row for row in of_size if row["too_many"] is not None), None)
        per_core = f", {fine[-1]['calls_per_core']} for each core used" if fine else ""
        why = f"; with {over['calls']} {over['too_many']}" if over else "; more were not tried"
        said.append(f"{size}: {fine[-1]['calls'] if fine else 0} calls at once{per_core}{why}.")
    return said


def costs(rows: Sequence[Row]) -> dict[tuple[int, int], Load]:
    """What one call of each size takes, at the most calls that the machine carried. Unavailable when none."""
    fine = [row for row in rows if row["too_many"] is None and row["cpu_per_call"]]
    if not fine:
        raise Unavailable("The machine did not carry a single call: there is no cost to save.")
    return {
        size_of(row["size"]): Load(row["cpu_per_call"], row["own_mb_per_call"] + row["shared_mb_per_call"])
        for row in fine
    }


def drawing(rows: Sequence[Row]) -> str:
    """Cost and added delay by number of calls, as SVG."""
    charts = []
    for size in dict.fromkeys(row["size"] for row in rows):
        of_size = [row for row in rows if row["size"] == size]
        groups = [f"{row['calls']} calls" if row["calls"] > 1 else "1 call" for row in of_size]
        cost = {
            "Guardian": [row["cpu_per_call"] for row in of_size],
            "stock relay, 1 call": [row["stock_cpu_per_call"] for row in of_size],
        }
        delays = {
            f"Guardian {name}": [row["added_latency_ms"][name] for row in of_size] for name in ("p50", "p95")
        } | {"stock relay p95, 1 call": [row["stock_relay_latency_ms"]["p95"] for row in of_size]}
        goals = (CORES_PER_CALL,) if size == "640x480" else ()
        charts += [
            Bars(f"{size}: what a call costs", groups, cost, "cores", max(1.001, _highest(cost)), goals),
            Bars(f"{size}: delay added", groups, delays, "ms", max(1.001, _highest(delays))),
        ]
    return bars(charts)


def _highest(series: dict[str, list[float | None]]) -> float:
    return max((value for values in series.values() for value in values if value is not None), default=1.0)

"""How much later do pictures come through Guardian than through a stock relay that does nothing?

Direct, stock and Guardian take turns in short rounds of one run, so that whatever else the machine does falls
on all of them. Added latency is that of each picture less the median of the direct round beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from guardian.bench.boxes import Box, direct_call, guardian_box, stock_call
from guardian.bench.camera import Film
from guardian.bench.drawing import Panel, distribution
from guardian.bench.pair import percentiles
from guardian.bench.rounds import Plan, measure_round
from guardian.bench.script import Row, Script, Steps
from guardian.core.errors import Unavailable
from guardian.demo.voices import Line, english_lines

FILMS = tuple(Film(size, fps) for size in ((640, 480), (1280, 720)) for fps in (30, 15))
_CURVE = 50
"""Points of a distribution that are kept for drawing."""


@dataclass(frozen=True, slots=True)
class Effort:
    """Films, rounds of each, seconds before and while measuring."""

    films: tuple[Film, ...]
    rounds: int
    settle_s: float
    measure_s: float


QUICK = Effort(FILMS[:2], 1, 2.0, 6.0)
WHOLE = Effort(FILMS, 5, 3.0, 8.0)


async def measure(effort: Effort, steps: Steps) -> list[Row]:
    """One row per film."""
    lines = english_lines()
    steps.expect(len(effort.films) * effort.rounds * 3)
    async with guardian_box(1) as guardian:
        boxes: dict[str, Box] = {"direct": direct_call, "stock": stock_call, "guardian": guardian.call}
        return [await _row(film, boxes, lines, effort, steps) for film in effort.films]


async def _row(
    film: Film, boxes: dict[str, Box], lines: tuple[Line, ...], effort: Effort, steps: Steps
) -> Row:
    plan = Plan(film, lines, effort.settle_s, effort.measure_s)
    direct_ms: list[float] = []
    added: dict[str, list[list[float]]] = {"stock": [], "guardian": []}
    for number in range(effort.rounds):
        floor = 0.0
        for name, box in boxes.items():
            steps.begin(f"{film}, round {number + 1}, {name}")
            seen_ms = (await measure_round(box, plan)).seen_ms
            if not seen_ms:
                raise Unavailable(f"No picture came through ({name}, {film}); nothing can be compared.")
            if name == "direct":
                floor = float(np.median(seen_ms))
                direct_ms += seen_ms
            else:
                added[name].append([ms - floor for ms in seen_ms])
            steps.done()
    return _figures(film, direct_ms, added)


def _figures(film: Film, direct_ms: list[float], added: dict[str, list[list[float]]]) -> Row:
    """Percentiles over all pictures, those of each round, and the ratio of the rounds' medians."""
    rounds = {name: [percentiles(one) for one in found] for name, found in added.items()}
    p95 = {name: float(np.median([one["p95"] or 0.0 for one in found])) for name, found in rounds.items()}
    return {
        "size": f"{film.size[0]}x{film.size[1]}",
        "fps": film.fps,
        "direct_latency_ms": percentiles(direct_ms),
        "added_latency_ms": percentiles(_all(added["guardian"])),
        "stock_relay_latency_ms": percentiles(_all(added["stock"])),
        "p95_of_rounds_ms": {name: round(value, 2) for name, value in p95.items()},
        "ratio_p95": round(p95["guardian"] / p95["stock"], 3) if p95["stock"] > 0 else None,
        "pictures": {name: len(_all(found)) for name, found in added.items()},
        "rounds": rounds,
        "curves_ms": {name: _curve(_all(found)) for name, found in added.items()},
    }


def _all(rounds: list[list[float]]) -> list[float]:
    return [ms for one in rounds for ms in one]


def _curve(values: list[float]) -> list[float]:
    return [round(float(v), 2) for v in np.quantile(values, np.linspace(0, 1, _CURVE))]


def _cells(row: Row) -> Sequence[Any]:
    added, stock = row["added_latency_ms"], row["stock_relay_latency_ms"]
    return (
        f"{row['size']} at {row['fps']}",
        row["direct_latency_ms"]["p50"],
        *added.values(),
        *stock.values(),
        row["ratio_p95"],
    )


def _misses(rows: Sequence[Row]) -> list[str]:
    return [
        f"{row['size']} at {row['fps']}: Guardian's p95 is not below the stock relay's (median of rounds)."
        for row in rows
        if row["p95_of_rounds_ms"]["guardian"] >= row["p95_of_rounds_ms"]["stock"]
    ]


def _drawing(rows: Sequence[Row]) -> str:
    widest = max(row["stock_relay_latency_ms"]["p99"] for row in rows) * 1.5
    return distribution(
        [Panel(f"added latency, {row['size']} at {row['fps']} a second", row["curves_ms"]) for row in rows],
        widest,
    )


SCRIPT = Script(
    "How much later do pictures come through Guardian than through a stock relay that does nothing?",
    partial(measure, WHOLE),
    partial(measure, QUICK),
    ("added, ms", "direct p50", "Guardian p50", "p95", "p99", "stock p50", "p95", "p99", "p95 ratio"),
    _cells,
    _misses,
    _drawing,
)

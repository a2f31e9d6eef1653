"""How much processor time does each leg take, as a part of what a stock relay takes for the same?

A call with voices only, one with the merchant's picture (relayed), one with the shopper's (protected), and
one with both; each through a stock relay and through Guardian in turns, in one run. A leg's cost is what its
picture adds to the voices.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from guardian.bench.boxes import Box, guardian_box, stock_call
from guardian.bench.camera import Film
from guardian.bench.rounds import Plan, measure_round
from guardian.bench.script import Row, Script, Steps
from guardian.core.errors import Unavailable
from guardian.core.violations import Role
from guardian.demo.voices import english_lines

CALLS: dict[str, tuple[Role, ...]] = {
    "voices": (),
    "relayed": (Role.MERCHANT,),
    "protected": (Role.SHOPPER,),
    "both": (Role.MERCHANT, Role.SHOPPER),
}
_NO_MORE = 0.01
"""Cores below which a difference is noise and no ratio is told."""


@dataclass(frozen=True, slots=True)
class Effort:
    """Films, rounds of each call, seconds before and while measuring."""

    films: tuple[Film, ...]
    rounds: int
    settle_s: float
    measure_s: float


QUICK = Effort((Film((640, 480)),), 1, 3.0, 6.0)
WHOLE = Effort((Film((640, 480)), Film((1280, 720))), 3, 4.0, 12.0)


async def measure(effort: Effort, steps: Steps) -> list[Row]:
    """A row for each film and kind of call."""
    lines = english_lines()
    steps.expect(len(effort.films) * effort.rounds * len(CALLS) * 2)
    rows: list[Row] = []
    async with guardian_box(1) as guardian:
        boxes: dict[str, Box] = {"stock": stock_call, "guardian": guardian.call}
        for film in effort.films:
            cores: dict[tuple[str, str], list[float]] = {}
            for number in range(effort.rounds):
                for kind, cameras in CALLS.items():
                    plan = Plan(film, lines, effort.settle_s, effort.measure_s, cameras=cameras)
                    for name, box in boxes.items():
                        steps.begin(f"{film}, {kind}, round {number + 1}, {name}")
                        found = await measure_round(box, plan)
                        if found.load is None or (cameras and not found.seen_ms):
                            # Idle processor time of a call that showed nothing would look like a saving.
                            raise Unavailable(f"No picture came through ({name}, {film}, {kind}).")
                        cores.setdefault((kind, name), []).append(found.load.cores)
                        steps.done()
            rows += _rows(film, {key: float(np.median(found)) for key, found in cores.items()})
    return rows


def _rows(film: Film, cores: dict[tuple[str, str], float]) -> list[Row]:
    rows = []
    for kind in CALLS:
        guardian, stock = cores[kind, "guardian"], cores[kind, "stock"]
        row = {
            "size": f"{film.size[0]}x{film.size[1]}",
            "fps": film.fps,
            "call": kind,
            "cores": round(guardian, 3),
            "stock_cores": round(stock, 3),
            "ratio": _ratio(guardian, stock),
        }
        if kind != "voices":
            leg, stock_leg = guardian - cores["voices", "guardian"], stock - cores["voices", "stock"]
            row |= {
                "leg_cores": round(leg, 3),
                "stock_leg_cores": round(stock_leg, 3),
                "leg_ratio": _ratio(leg, stock_leg),
            }
        rows.append(row)
    return rows


def _ratio(ours: float, theirs: float) -> float | None:
    return round(ours / theirs, 3) if theirs > _NO_MORE else None


def _cells(row: Row) -> Sequence[Any]:
    what = f"{row['size']} at {row['fps']}, {row['call']}"
    return (what, row["cores"], row["stock_cores"], row["ratio"], row.get("leg_cores"), row.get("leg_ratio"))


def _misses(rows: Sequence[Row]) -> list[str]:
    """Every other figure is an answer; only a relayed leg that costs more than stock is a fault."""
    return [
        f"{row['size']}: the relayed leg costs {row['leg_ratio']} of stock."
        for row in rows
        if row["call"] == "relayed" and (row["leg_ratio"] or 0.0) > 1.0
    ]


SCRIPT = Script(
    "How much processor time does each leg take, as a part of what a stock relay takes for the same?",
    partial(measure, WHOLE),
    partial(measure, QUICK),
    ("call", "cores", "stock", "ratio", "leg alone", "ratio"),
    _cells,
    _misses,
)

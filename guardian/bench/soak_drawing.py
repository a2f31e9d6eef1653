"""A long run as curves over time."""

from __future__ import annotations

from collections.abc import Sequence

from guardian.bench.script import Row
from guardian.bench.timeline import Band, Curve, timeline

_COLOURS = {"open": "#1f6f8b"}


def drawing(rows: Sequence[Row]) -> str:
    """The memory of each process that lived long, and when other calls came and went, as SVG."""
    pictures = next(row for row in rows if "spans" in row)
    grown = [row for row in rows if row.get("points")]
    curves = [
        Curve(f"{row['what']} ({row['mb_per_hour']} MB/h after the warm-up)", row["points"], _top(row))
        for row in grown
    ]
    ends = [at for row in grown for at, _ in row["points"]]
    seconds = max([pictures["seconds"], *ends])
    band = Band(
        "calls beside the whole one", [(came, went, "open") for came, went in pictures["spans"]], _COLOURS
    )
    return timeline(curves, band, (0.0, 0.0), seconds)


def _top(row: Row) -> float:
    highest = max(mb for _, mb in row["points"])
    return float(-(-highest // 50) * 50)

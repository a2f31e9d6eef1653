"""Latency histograms with fixed buckets: cheap to record, mergeable, quotable as percentiles."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

# Geometric, 12 buckets an octave: a quoted percentile is at most 6 % above the true one.
EDGES_MS: tuple[float, ...] = tuple(0.01 * 2 ** (i / 12) for i in range(12 * 21))


@dataclass(slots=True)
class Histogram:
    """Counts of durations in milliseconds, from 0.01 ms to about 20 s."""

    counts: list[int] = field(default_factory=lambda: [0] * (len(EDGES_MS) + 1))
    n: int = 0
    total_ms: float = 0.0
    max_ms: float = 0.0

    def record(self, ms: float) -> None:
        """Count one duration."""
        self.counts[bisect_left(EDGES_MS, ms)] += 1
        self.n += 1
        self.total_ms += ms
        self.max_ms = max(self.max_ms, ms)

    def percentile(self, share: float) -> float | None:
        """Upper edge of the bucket that holds the `share` (0..1) quantile, or None when empty."""
        if not self.n:
            return None
        wanted = share * self.n
        seen = 0
        for i, count in enumerate(self.counts):
            seen += count
            if seen >= wanted and count:
                return min(EDGES_MS[i], self.max_ms) if i < len(EDGES_MS) else self.max_ms
        return self.max_ms

    def summary(self) -> dict[str, float | int | None]:
        """`n, p50, p95, p99, max` with milliseconds rounded to a hundredth."""

        def rounded(value: float | None) -> float | None:
            return None if value is None else round(value, 2)

        return {
            "n": self.n,
            "p50": rounded(self.percentile(0.50)),
            "p95": rounded(self.percentile(0.95)),
            "p99": rounded(self.percentile(0.99)),
            "max": rounded(self.max_ms if self.n else None),
        }


@dataclass(slots=True)
class Latencies:
    """One histogram per stage name."""

    stages: dict[str, Histogram] = field(default_factory=dict)

    def record(self, stage: str, ms: float) -> None:
        """Count one duration of one stage."""
        self.stages.setdefault(stage, Histogram()).record(ms)

    def record_all(self, stages_ms: Iterable[tuple[str, float]]) -> None:
        """Count one duration for each of several stages."""
        for stage, ms in stages_ms:
            self.record(stage, ms)

    def histograms(self) -> dict[str, dict[str, Any]]:
        """Stage name -> {"counts" over `EDGES_MS`, "total_ms"}, JSON-ready."""
        return {
            name: {"counts": list(histogram.counts), "total_ms": round(histogram.total_ms, 3)}
            for name, histogram in self.stages.items()
        }

    def summary(self) -> dict[str, dict[str, float | int | None]]:
        """Stage name -> `Histogram.summary()`."""
        return {name: histogram.summary() for name, histogram in self.stages.items()}

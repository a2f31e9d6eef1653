"""What a call counts by the clock: seconds in each state of protection, and how late its timer fires."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

from guardian.core.frames import State
from guardian.core.lapses import LapseBook
from guardian.core.latency import Histogram


class Tally:
    """Fed by one timer of the call. Seconds are of the monotonic clock."""

    def __init__(self) -> None:
        self._states: dict[State, float] = dict.fromkeys(State, 0.0)
        self._lag = Histogram()
        self._at = time.monotonic()

    def tick(self, state: State, period_s: float) -> None:
        """A timer of `period_s` has fired; the call was in `state` since the last one."""
        now = time.monotonic()
        passed, self._at = now - self._at, now
        self._states[state] += passed
        self._lag.record(max(0.0, passed - period_s) * 1000)

    def snapshot(self) -> dict[str, Any]:
        """`states_s` {state: seconds} and `loop_lag` {counts, total_ms}, JSON-ready."""
        return {
            "states_s": {str(state): round(seconds, 2) for state, seconds in self._states.items()},
            "loop_lag": {"counts": list(self._lag.counts), "total_ms": round(self._lag.total_ms, 3)},
        }


def lapses_by_part(books: Iterable[LapseBook]) -> dict[str, dict[str, float]]:
    """Part -> `count` and `seconds` of all its lapses, those no longer kept included."""
    parts: dict[str, dict[str, float]] = {}
    for book in books:
        found = parts.setdefault(str(book.part), {"count": 0, "seconds": 0.0})
        found["count"] += book.count
        found["seconds"] = round(found["seconds"] + book.seconds, 2)
    return parts

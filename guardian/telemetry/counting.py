"""Counts that calls make, summed over the live and the ended ones; no sum ever goes down.

A call tells its counts in its status, from its beginning on. While it lives they are read from there; when it
has ended the last of them is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from guardian.core.latency import EDGES_MS

Status = Mapping[str, Any]
Series = dict[tuple[str, ...], float]
"""Label values -> value."""
Buckets = dict[str, tuple[list[int], float]]
"""Name -> (counts over `EDGES_MS`, sum in ms)."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A counter that calls add to: its name without `_total`, its labels, and where a status has it."""

    name: str
    meaning: str
    labels: tuple[str, ...]
    read: Callable[[Status], Series]


def part(status: Status, *path: str) -> Mapping[str, Any]:
    """An object inside a status; empty where there is none."""
    found: Any = status
    for key in path:
        found = found.get(key) if isinstance(found, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def _one(*path: str) -> Callable[[Status], Series]:
    """The number at a path, without labels."""
    return lambda status: {(): _number(part(status, *path[:-1]).get(path[-1]))}


def _each(*path: str) -> Callable[[Status], Series]:
    """The numbers of an object, labelled by its keys."""
    return lambda status: {(str(key),): _number(value) for key, value in part(status, *path).items()}


def _showing(status: Status) -> Series:
    frames = part(status, "frames")
    return {(name,): _number(frames.get(name)) for name in ("covered", "held", "curtain")}


def _lapses(what: str) -> Callable[[Status], Series]:
    def read(status: Status) -> Series:
        parts = part(status, "counts", "lapses")
        return {(str(name),): _number(part(parts, name).get(what)) for name in parts}

    return read


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0


KINDS = (
    Kind("guardian_frames_received", "Shopper pictures that came in", (), _one("frames", "in")),
    Kind("guardian_frames_sent", "Pictures sent to merchants, by what they show", ("showing",), _showing),
    Kind("guardian_frames_late", "Pictures finished too late to be sent", (), _one("frames", "late")),
    Kind(
        "guardian_frames_over_budget",
        "Covered pictures that took longer than the budget",
        (),
        _one("frames", "over_budget"),
    ),
    Kind(
        "guardian_protection_state_seconds",
        "Seconds of calls in each state of protection",
        ("state",),
        _each("counts", "states_s"),
    ),
    Kind("guardian_ladder_steps", "Steps of the ladder taken", (), _one("protection", "steps_taken")),
    Kind("guardian_lapses", "Spans not seen, heard, watched or kept", ("part",), _lapses("count")),
    Kind("guardian_lapse_seconds", "Seconds of those spans", ("part",), _lapses("seconds")),
    Kind("guardian_call_seconds", "Seconds in which somebody was connected", (), _one("coverage", "seconds")),
    Kind("guardian_camera_seconds", "Seconds with a shopper picture", (), _one("coverage", "camera_s")),
    Kind(
        "guardian_protected_seconds",
        "Seconds in which merchants saw a protected picture",
        (),
        _one("coverage", "protected_s"),
    ),
    Kind("guardian_sound_seconds", "Seconds of sound that came", ("role",), _each("coverage", "sound_s")),
    Kind("guardian_heard_seconds", "Seconds of it that were heard", ("role",), _each("coverage", "heard_s")),
    Kind("guardian_lost_sound_seconds", "Seconds lost on the way", ("role",), _each("coverage", "lost_s")),
    Kind("guardian_queue_drops", "What queues of calls dropped", ("queue",), _each("counts", "drops")),
    Kind(
        "guardian_shadow_hits",
        "Attempts that rules in shadow would have told of",
        ("rule",),
        _each("rules", "shadow_hits"),
    ),
)


class Sums:
    """Sums of one kind of counter."""

    def __init__(self, kind: Kind) -> None:
        self.kind = kind
        self._ended: Series = {}
        self._told: Series = {}

    def retire(self, status: Status) -> None:
        """A call has ended."""
        self._ended = _added(self._ended, self.kind.read(status))

    def ended(self) -> Series:
        """The sums of the ended calls: to be read before the live ones, or one that ends counts twice."""
        return self._ended

    def with_live(self, ended: Series, statuses: Iterable[Status]) -> Series:
        """All of them, and never less than was told before."""
        now = ended
        for status in statuses:
            now = _added(now, self.kind.read(status))
        self._told = {
            **self._told,
            **{key: max(value, self._told.get(key, 0.0)) for key, value in now.items()},
        }
        return self._told


class Times:
    """Histograms over `EDGES_MS` that calls fill."""

    def __init__(self, read: Callable[[Status], Mapping[str, Any]]) -> None:
        self._read = read
        self._ended: Buckets = {}
        self._told: Buckets = {}

    def retire(self, status: Status) -> None:
        """A call has ended."""
        self._ended = self._merged(self._ended, status)

    def ended(self) -> Buckets:
        """Those of the ended calls: to be read before the live ones."""
        return self._ended

    def with_live(self, ended: Buckets, statuses: Iterable[Status]) -> Buckets:
        """All of them, and never less than was told before."""
        now = ended
        for status in statuses:
            now = self._merged(now, status)
        for name, (counts, total) in now.items():
            before, least = self._told.get(name, ([0] * len(counts), 0.0))
            highest = [max(a, b) for a, b in zip(counts, before, strict=True)]
            self._told[name] = (highest, max(total, least))
        return self._told

    def _merged(self, buckets: Buckets, status: Status) -> Buckets:
        merged = dict(buckets)
        for name, histogram in self._read(status).items():
            counts = list(histogram.get("counts", ()))
            if len(counts) != len(EDGES_MS) + 1:
                continue
            old, total = merged.get(name, ([0] * len(counts), 0.0))
            added = [a + b for a, b in zip(old, counts, strict=True)]
            merged[name] = (added, total + _number(histogram.get("total_ms")))
        return merged


def _added(one: Series, other: Series) -> Series:
    return {**one, **{key: one.get(key, 0.0) + value for key, value in other.items()}}

"""What the calls say of themselves, gathered when Prometheus asks."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from guardian.core import readiness
from guardian.core.frames import State
from guardian.core.latency import EDGES_MS
from guardian.telemetry.counting import KINDS, Buckets, Status, Sums, Times, part

Statuses = Callable[[], Iterable[Mapping[str, Any]]]
Pending = Callable[[], Mapping[tuple[str, str], int]]
Capacity = Callable[[], tuple[int, int]]
Ready = Callable[[], readiness.Readiness]

_QUANTILES = ("p50", "p95", "p99")
_REASONS = {
    "hung up": "hung_up",
    "ended by the call service": "call_service",
    "the longest time a call may take is over": "length",
    "nobody was connected": "idle",
    "a voice could not be heard": "deaf",
    "the server is gone": "server_gone",
    "the server stops": "stopping",
    "draining": "draining",
    "lease lost": "lease_lost",
    "failed": "failed",
}
"""Why calls end -> the label. What else there may be is `other`: a label is none of a few words for ever."""


class CallCollector(Collector):
    """Counts, times and states of calls.

    A status may hold "latency" {stage: {p50, p95, p99, n}}, "histograms" {stage: {counts, total_ms}} over
    `guardian.core.latency.EDGES_MS`, and what `guardian.telemetry.counting` reads. It is asked from threads.
    """

    def __init__(self, statuses: Statuses, capacity: Capacity, ready: Ready, pending: Pending) -> None:
        self._statuses = statuses
        self._capacity = capacity
        self._ready = ready
        self._pending = pending
        self._lock = threading.Lock()
        self._sums = tuple(Sums(kind) for kind in KINDS)
        self._stages = Times(lambda status: part(status, "histograms"))
        self._lag = Times(lambda status: {"loop": part(status, "counts", "loop_lag")})
        self._ends: Counter[str] = Counter()

    def retire(self, status: Status, reason: str = "") -> None:
        """Keeps the times and counts of a call that has ended, so that they never go down."""
        with self._lock:
            for sums in self._sums:
                sums.retire(status)
            for times in (self._stages, self._lag):
                times.retire(status)
            self._ends[_REASONS.get(reason, "other")] += 1

    def describe(self) -> Iterable[Metric]:
        """Nothing is asked at registration."""
        return ()

    def collect(self) -> Iterable[Metric]:
        """One scrape."""
        taken, slots = self._capacity()
        yield GaugeMetricFamily("guardian_call_slots_taken", "Calls running", value=taken)
        yield GaugeMetricFamily("guardian_call_slots", "Calls this host can run", value=slots)
        draining = self._ready().status is readiness.Status.DRAINING
        yield GaugeMetricFamily("guardian_draining", "1 while it ends: it takes no calls", value=draining)
        waiting = GaugeMetricFamily(
            "guardian_outbox_events", "Events not yet delivered", labels=["sink", "state"]
        )
        for (sink, state), count in self._pending().items():
            waiting.add_metric([sink, state], count)
        yield waiting
        with self._lock:
            yield from self._calls()

    def _calls(self) -> list[Metric]:
        ended = [sums.ended() for sums in self._sums]
        stages, lag = self._stages.ended(), self._lag.ended()
        statuses = list(self._statuses())
        families: list[Metric] = [_states(statuses), _worst(statuses)]
        for sums, before in zip(self._sums, ended, strict=True):
            counter = CounterMetricFamily(sums.kind.name, sums.kind.meaning, labels=sums.kind.labels)
            for labels, value in sorted(sums.with_live(before, statuses).items()):
                counter.add_metric(labels, value)
            families.append(counter)
        times = HistogramMetricFamily(
            "guardian_stage_seconds", "Times of pictures by stage of their way", labels=["stage"]
        )
        _fill(times, self._stages.with_live(stages, statuses))
        lags = HistogramMetricFamily(
            "guardian_call_loop_lag_seconds", "How late the event loops of call processes woke up"
        )
        for counts, total in self._lag.with_live(lag, statuses).values():
            lags.add_metric([], _buckets(counts), sum_value=total / 1000)
        ends = CounterMetricFamily(
            "guardian_calls_ended", "Calls that are over, by reason", labels=["reason"]
        )
        for reason in (*_REASONS.values(), "other"):
            ends.add_metric([reason], self._ends[reason])
        return [*families, times, lags, ends]


def _states(statuses: list[Mapping[str, Any]]) -> Metric:
    counts = dict.fromkeys(map(str, State), 0)
    for status in statuses:
        protection = status.get("protection")
        state = str(protection.get("state") if isinstance(protection, Mapping) else status.get("state"))
        counts[state] = counts.get(state, 0) + 1
    family = GaugeMetricFamily("guardian_calls", "Live calls by state of protection", labels=["state"])
    for state, count in sorted(counts.items()):
        family.add_metric([state], count)
    return family


def _worst(statuses: list[Mapping[str, Any]]) -> Metric:
    worst: dict[tuple[str, str], float] = {}
    for status in statuses:
        for stage, summary in part(status, "latency").items():
            if not isinstance(summary, Mapping):
                continue
            for quantile in _QUANTILES:
                value = summary.get(quantile)
                if isinstance(value, int | float):
                    key = (str(stage), quantile)
                    worst[key] = max(worst.get(key, 0.0), float(value))
    family = GaugeMetricFamily(
        "guardian_stage_worst_seconds", "Stage time of the slowest live call", labels=["stage", "quantile"]
    )
    for (stage, quantile), value in sorted(worst.items()):
        family.add_metric([stage, quantile], value / 1000)
    return family


def _fill(family: HistogramMetricFamily, stages: Buckets) -> None:
    for stage, (counts, total) in sorted(stages.items()):
        family.add_metric([stage], _buckets(counts), sum_value=total / 1000)


def _buckets(counts: list[int]) -> list[tuple[str, float]]:
    """Cumulative counts at every sixth edge, in seconds: half octaves are enough for a chart."""
    rows: list[tuple[str, float]] = []
    total = 0
    for i, count in enumerate(counts[:-1]):
        total += count
        if i % 6 == 5:
            rows.append((f"{EDGES_MS[i] / 1000:.4g}", float(total)))
    rows.append(("+Inf", float(total + counts[-1])))
    return rows

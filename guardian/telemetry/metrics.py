"""Prometheus metrics of the server. Labels never hold a call, a person or a tenant."""

from __future__ import annotations

from collections import Counter as TallyCounter
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from guardian.core.latency import EDGES_MS

Statuses = Callable[[], Iterable[Mapping[str, Any]]]
Pending = Callable[[], Mapping[tuple[str, str], int]]
Capacity = Callable[[], tuple[int, int]]

Stages = dict[str, tuple[list[int], float]]
"""Stage -> (counts over `EDGES_MS`, sum in ms)."""

_QUANTILES = ("p50", "p95", "p99")


class Metrics:
    """All metrics of one server, in a registry of their own."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self.requests = Counter(
            "guardian_http_requests", "HTTP requests answered", ["method", "status"], registry=self._registry
        )
        self.sign_ins = Counter(
            "guardian_sign_ins", "Tries to sign in at the console", ["outcome"], registry=self._registry
        )
        self.deliveries = Counter(
            "guardian_event_deliveries",
            "Tries to deliver events",
            ["sink", "outcome"],
            registry=self._registry,
        )
        self.events = Counter(
            "guardian_events",
            "Events accepted, shed or refused",
            ["type", "outcome"],
            registry=self._registry,
        )
        self.store_bytes = Gauge("guardian_store_bytes", "Bytes the store holds", registry=self._registry)
        self.store_full = Gauge(
            "guardian_store_full",
            "1 while the store has no room for more calls, which are refused",
            registry=self._registry,
        )
        self.endpoint_disabled = Gauge(
            "guardian_endpoint_disabled",
            "1 for an endpoint that wants no events until it is enabled",
            ["sink"],
            registry=self._registry,
        )
        self.clips = Counter(
            "guardian_evidence_clips",
            "Clips kept, lost, erased or forgotten",
            ["outcome"],
            registry=self._registry,
        )
        self.clips_overdue = Gauge(
            "guardian_evidence_overdue",
            "1 while what has expired cannot be erased; nobody can read it",
            registry=self._registry,
        )
        self.loop_lag = Histogram(
            "guardian_loop_lag_seconds",
            "How late the event loop woke up",
            buckets=(0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 5),
            registry=self._registry,
        )
        self.loop_lag_now = Gauge(
            "guardian_loop_lag_last_seconds", "The last loop lag measured", registry=self._registry
        )

        self.rule_edits = Counter(
            "guardian_rule_edits", "Edits of the rules noticed", ["outcome"], registry=self._registry
        )
        self.rules_refused = Gauge(
            "guardian_rules_refused",
            "1 while the rule files cannot be used and older rules are in force",
            registry=self._registry,
        )

    def watch(self, collector: Collector) -> None:
        """Adds something that is asked at each scrape."""
        self._registry.register(collector)

    def render(self) -> tuple[bytes, str]:
        """(body, content type) in the Prometheus text format."""
        return generate_latest(self._registry), CONTENT_TYPE_LATEST


class CallCollector(Collector):
    """What the live calls say of themselves, gathered when Prometheus asks.

    A status may hold "latency" {stage: {p50, p95, p99, n}} or "histograms" {stage: {counts, total_ms}}
    over `guardian.core.latency.EDGES_MS`.
    """

    def __init__(self, statuses: Statuses, capacity: Capacity, pending: Pending) -> None:
        self._statuses = statuses
        self._capacity = capacity
        self._pending = pending
        self._ended: Stages = {}
        self._ended_shadows: TallyCounter[str] = TallyCounter()

    def retire(self, status: Mapping[str, Any]) -> None:
        """Keeps the times and counts of a call that has ended, so that they never go down."""
        self._ended = _merged(self._ended, [status])
        self._ended_shadows += _shadows([status])

    def describe(self) -> Iterable[Metric]:
        """Nothing is asked at registration."""
        return ()

    def collect(self) -> Iterable[Metric]:
        """One scrape."""
        taken, slots = self._capacity()
        yield GaugeMetricFamily("guardian_call_slots_taken", "Calls running", value=taken)
        yield GaugeMetricFamily("guardian_call_slots", "Calls this host can run", value=slots)
        waiting = GaugeMetricFamily(
            "guardian_outbox_events", "Events not yet delivered", labels=["sink", "state"]
        )
        for (sink, state), count in self._pending().items():
            waiting.add_metric([sink, state], count)
        yield waiting
        statuses = list(self._statuses())
        yield _states(statuses)
        yield _worst(statuses)
        yield _histograms(_merged(self._ended, statuses))
        yield _shadow_hits(self._ended_shadows + _shadows(statuses))


def _states(statuses: list[Mapping[str, Any]]) -> Metric:
    counts: dict[str, int] = {}
    for status in statuses:
        protection = status.get("protection")
        state = str(protection.get("state") if isinstance(protection, Mapping) else status.get("state"))
        counts[state] = counts.get(state, 0) + 1
    family = GaugeMetricFamily("guardian_calls", "Live calls by state of protection", labels=["state"])
    for state, count in sorted(counts.items()):
        family.add_metric([state], count)
    return family


def _shadows(statuses: Iterable[Mapping[str, Any]]) -> TallyCounter[str]:
    counted: TallyCounter[str] = TallyCounter()
    for status in statuses:
        counted.update((status.get("rules") or {}).get("shadow_hits") or {})
    return counted


def _shadow_hits(counted: Mapping[str, int]) -> Metric:
    family = CounterMetricFamily(
        "guardian_shadow_hits", "Attempts that rules in shadow would have told of", labels=["rule"]
    )
    for rule, count in sorted(counted.items()):
        family.add_metric([rule], count)
    return family


def _worst(statuses: list[Mapping[str, Any]]) -> Metric:
    worst: dict[tuple[str, str], float] = {}
    for status in statuses:
        for stage, summary in (status.get("latency") or {}).items():
            if not isinstance(summary, Mapping):
                continue
            for quantile in _QUANTILES:
                value = summary.get(quantile)
                if isinstance(value, int | float):
                    key = (str(stage), quantile)
                    worst[key] = max(worst.get(key, 0.0), float(value))
    family = GaugeMetricFamily(
        "guardian_stage_worst_ms", "Stage time of the slowest live call, ms", labels=["stage", "quantile"]
    )
    for (stage, quantile), value in sorted(worst.items()):
        family.add_metric([stage, quantile], value)
    return family


def _merged(stages: Stages, statuses: Iterable[Mapping[str, Any]]) -> Stages:
    merged = dict(stages)
    for status in statuses:
        for stage, histogram in (status.get("histograms") or {}).items():
            counts = list(histogram.get("counts", ()))
            if len(counts) != len(EDGES_MS) + 1:
                continue
            old, total = merged.get(stage, ([0] * len(counts), 0.0))
            merged[stage] = (
                [a + b for a, b in zip(old, counts, strict=True)],
                total + float(histogram.get("total_ms", 0.0)),
            )
    return merged


def _histograms(stages: Stages) -> Metric:
    family = HistogramMetricFamily("guardian_stage_ms", "Stage times of frames, ms", labels=["stage"])
    for stage, (counts, total) in sorted(stages.items()):
        family.add_metric([stage], _buckets(counts), sum_value=total)
    return family


def _buckets(counts: list[int]) -> list[tuple[str, float]]:
    """Cumulative counts at every sixth edge: half octaves are enough for a chart."""
    rows: list[tuple[str, float]] = []
    total = 0
    for i, count in enumerate(counts[:-1]):
        total += count
        if i % 6 == 5:
            rows.append((f"{EDGES_MS[i]:.4g}", float(total)))
    rows.append(("+Inf", float(total + counts[-1])))
    return rows

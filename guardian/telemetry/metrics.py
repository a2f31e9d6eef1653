"""Prometheus metrics of the server. Labels never hold a call, a person or a tenant.

What they are called and mean stands in docs/metrics.md.
"""

from __future__ import annotations

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from guardian.core.calls import CallEventType

# When each series began is asked by nobody, and would double what is sent.
disable_created_metrics()  # type: ignore[no-untyped-call]  # it has no types


class Metrics:
    """All metrics of one server, in a registry of their own."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self.build = Gauge("guardian_build_info", "1, of this version", ["version"], registry=self._registry)
        self.budget = Gauge(
            "guardian_frame_budget_seconds",
            "The time a frame may take from its last packet in to its encoded packets out",
            registry=self._registry,
        )
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
        self.outbox_oldest = Gauge(
            "guardian_outbox_oldest_seconds",
            "How long the oldest event has waited that a sink has not been given",
            ["sink"],
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
        self._begin_at_zero()
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

    def _begin_at_zero(self) -> None:
        """What first shows at 1 has not risen for Prometheus: an alarm would miss the first loss."""
        for outcome in ("kept", "lost", "erased", "forgotten"):
            self.clips.labels(outcome)
        for kind in CallEventType:
            for outcome in ("refused", "lost"):
                self.events.labels(kind.value, outcome)

    def watch(self, collector: Collector) -> None:
        """Adds something that is asked at each scrape."""
        self._registry.register(collector)

    def render(self) -> tuple[bytes, str]:
        """(body, content type) in the Prometheus text format."""
        return generate_latest(self._registry), CONTENT_TYPE_LATEST

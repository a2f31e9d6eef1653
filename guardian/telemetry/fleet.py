"""What a node tells of its fleet, gathered when Prometheus asks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector


@dataclass(frozen=True, slots=True)
class FleetFigures:
    """What there is to tell. lease_s: how long the node's lease holds still, 0 when it is over.

    nodes: by state, as this one sees them. placements: by outcome. taken_again: calls that were opened here
    after they had failed. fenced: nodes that this one has taken for dead.
    """

    lease_s: float
    connected: bool
    nodes: Mapping[str, int]
    placements: Mapping[str, int]
    taken_again: int
    fenced: int


class FleetCollector(Collector):
    """It is asked from threads."""

    def __init__(self, figures: Callable[[], FleetFigures]) -> None:
        self._figures = figures

    def describe(self) -> Iterable[Metric]:
        """Nothing is asked at registration."""
        return ()

    def collect(self) -> Iterable[Metric]:
        """One scrape."""
        now = self._figures()
        yield GaugeMetricFamily(
            "guardian_fleet_lease_seconds", "How long this node may send without a renewal", value=now.lease_s
        )
        yield GaugeMetricFamily(
            "guardian_fleet_broker_connected", "1 while the broker can be reached", value=int(now.connected)
        )
        nodes = GaugeMetricFamily("guardian_fleet_nodes", "Nodes as this one sees them", labels=["state"])
        for state, count in sorted(now.nodes.items()):
            nodes.add_metric([state], count)
        yield nodes
        placed = CounterMetricFamily(
            "guardian_fleet_placements", "Calls this node has asked the fleet to take", labels=["outcome"]
        )
        for outcome, count in sorted(now.placements.items()):
            placed.add_metric([outcome], count)
        yield placed
        yield CounterMetricFamily(
            "guardian_fleet_calls_taken_again",
            "Failed calls that this node has opened",
            value=now.taken_again,
        )
        yield CounterMetricFamily(
            "guardian_fleet_nodes_fenced", "Nodes that this one has taken for dead", value=now.fenced
        )

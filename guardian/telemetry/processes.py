"""What call processes take, and how often they die, gathered when Prometheus asks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol, runtime_checkable

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector


@runtime_checkable
class Processes(Protocol):
    """A host that runs calls in processes of their own."""

    @property
    def deaths(self) -> Mapping[Any, int]:
        """Why -> how many died before their time; the whys are a few words."""
        ...

    def processes(self) -> Iterable[Mapping[str, Any]]:
        """What each last said: `mb`, `threads`, `descriptors`, and how many `calls` it holds."""
        ...


class ProcessCollector(Collector):
    """The call processes of one server. It is asked from threads."""

    def __init__(self, host: Processes) -> None:
        self._host = host

    def describe(self) -> Iterable[Metric]:
        """Nothing is asked at registration."""
        return ()

    def collect(self) -> Iterable[Metric]:
        """One scrape."""
        figures = list(self._host.processes())
        memory = [_number(one.get("mb")) * 1e6 for one in figures]
        yield GaugeMetricFamily("guardian_call_processes", "Call processes, spares too", value=len(figures))
        spares = sum(not one.get("calls") and "mb" in one for one in figures)
        yield GaugeMetricFamily("guardian_spares", "Processes that wait for a call", value=spares)
        yield GaugeMetricFamily(
            "guardian_call_processes_memory_bytes", "Memory of all call processes", value=sum(memory)
        )
        yield GaugeMetricFamily(
            "guardian_call_process_largest_bytes",
            "Memory of the largest call process",
            value=max(memory, default=0.0),
        )
        for name, key, what in (
            ("guardian_call_processes_threads", "threads", "Threads of all call processes"),
            ("guardian_call_processes_open_fds", "descriptors", "Open files of all call processes"),
        ):
            yield GaugeMetricFamily(name, what, value=sum(_number(one.get(key)) for one in figures))
        died = CounterMetricFamily(
            "guardian_process_deaths", "Call processes that died before their time", labels=["reason"]
        )
        for reason, count in sorted((str(key), count) for key, count in self._host.deaths.items()):
            died.add_metric([reason], count)
        yield died


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0

"""What is exposed is documented, what is documented is exposed, and counters never go down."""

import json
import re
from pathlib import Path
from typing import ClassVar

import pytest
from prometheus_client.parser import text_string_to_metric_families

from guardian.call.tally import Tally, lapses_by_part
from guardian.core.calls import CallEventType
from guardian.core.config import WorkConfig
from guardian.core.frames import State
from guardian.core.lapses import LapseBook
from guardian.core.latency import Latencies
from guardian.core.notes import Part
from guardian.core.readiness import Readiness, Status
from guardian.fleet.supervisor import Supervisor
from guardian.telemetry.calls import CallCollector
from guardian.telemetry.fleet import FleetCollector, FleetFigures
from guardian.telemetry.metrics import Metrics
from guardian.telemetry.processes import ProcessCollector, Processes

READY = Readiness(Status.READY)

TABLE = Path(__file__).resolve().parents[2] / "docs" / "metrics.md"
ROW = re.compile(r"\| `(\w+)` \| (\w+) \|([^|]*)\|[^|]+\|[^|]+\|[^|]*\|$", re.M)


def documented():
    rows = ROW.findall(TABLE.read_text(encoding="utf-8"))
    return {name: (kind, frozenset(re.findall(r"`(\w+)`", labels))) for name, kind, labels in rows}


def lived(seconds=10.0, drops=1):
    """The status of a call, as one that has lived tells it."""
    latencies = Latencies()
    latencies.record("total", 20.0)
    tally = Tally()
    tally.tick(State.ARMED, 0.25)
    book = LapseBook(Part.HEARING, "merchant")
    book.add(1.0, 2.5, "behind")
    status = {
        "protection": {"state": "armed", "steps_taken": 2},
        "frames": {"in": 300, "covered": 280, "held": 5, "curtain": 15, "late": 1, "over_budget": 3},
        "coverage": {
            "seconds": seconds,
            "camera_s": seconds,
            "protected_s": seconds - 1,
            "sound_s": {"shopper": seconds},
            "heard_s": {"shopper": seconds},
            "lost_s": {"shopper": 0.5},
        },
        "latency": latencies.summary(),
        "histograms": latencies.histograms(),
        "counts": {**tally.snapshot(), "lapses": lapses_by_part([book, book]), "drops": {"picture": drops}},
        "rules": {"shadow_hits": {"contact.add": 1}},
    }
    return json.loads(json.dumps(status))


class Host:
    """Two call processes, one of them a spare; another one has crashed."""

    deaths: ClassVar = {"crash": 1, "memory": 0}

    def processes(self):
        yield {"mb": 200.0, "threads": 20, "descriptors": 30, "calls": 1}
        yield {"mb": 100.0, "threads": 10, "calls": 0}


class Exposed:
    """The metrics of a server whose live calls are `live`."""

    def __init__(self):
        self.live = []
        self.ready = READY
        self.metrics = Metrics()
        self.calls = CallCollector(
            lambda: self.live, lambda: (1, 2), lambda: self.ready, lambda: {("file", "dead"): 1}
        )
        self.metrics.watch(self.calls)
        self.metrics.watch(ProcessCollector(Host()))
        self.metrics.watch(FleetCollector(lambda: FleetFigures(4.0, True, {"ready": 2}, {"full": 1}, 1, 0)))
        for counter, labels in (
            (self.metrics.requests, ("GET", "200")),
            (self.metrics.sign_ins, ("in",)),
            (self.metrics.deliveries, ("file", "delivered")),
            (self.metrics.events, ("call.left", "accepted")),
            (self.metrics.clips, ("kept",)),
            (self.metrics.rule_edits, ("taken",)),
        ):
            counter.labels(*labels).inc()
        for gauge in (self.metrics.endpoint_disabled, self.metrics.outbox_oldest, self.metrics.build):
            gauge.labels("x").set(1)

    def families(self):
        return list(text_string_to_metric_families(self.metrics.render()[0].decode()))

    def sample(self, name, **labels):
        (value,) = [
            s.value for f in self.families() for s in f.samples if s.name == name and s.labels == labels
        ]
        return value


@pytest.fixture
def exposed():
    return Exposed()


def test_the_table_of_the_docs_and_what_is_exposed_are_the_same(exposed):
    exposed.live = [lived()]
    found = {}
    for family in exposed.families():
        name = family.name + "_total" if family.type == "counter" else family.name
        labels = {label for sample in family.samples for label in sample.labels} - {"le"}
        found[name] = (family.type, frozenset(labels))
    assert found == documented()


def test_what_a_call_counted_stays_when_it_ends(exposed):
    exposed.live = [lived(), lived()]
    exposed.families()
    ended = exposed.live.pop()
    exposed.calls.retire(ended, "hung up")
    assert exposed.sample("guardian_call_seconds_total") == 20.0
    assert exposed.sample("guardian_frames_over_budget_total") == 6.0
    assert exposed.sample("guardian_lapse_seconds_total", part="hearing") == 6.0
    assert exposed.sample("guardian_queue_drops_total", queue="picture") == 2.0
    assert exposed.sample("guardian_stage_seconds_count", stage="total") == 2.0
    assert exposed.sample("guardian_call_loop_lag_seconds_count") == 2.0
    assert exposed.sample("guardian_calls_ended_total", reason="hung_up") == 1.0
    assert exposed.sample("guardian_protection_state_seconds_total", state="failed") == 0.0


def test_no_counter_goes_down_while_a_call_is_neither_live_nor_ended(exposed):
    exposed.live = [lived(10.0), lived(20.0)]
    exposed.families()
    gone = exposed.live.pop()
    assert exposed.sample("guardian_call_seconds_total") == 30.0
    assert exposed.sample("guardian_stage_seconds_count", stage="total") == 2.0
    exposed.calls.retire(gone, "failed")
    exposed.live.append(lived(5.0))
    assert exposed.sample("guardian_call_seconds_total") == 35.0
    assert exposed.sample("guardian_stage_seconds_count", stage="total") == 3.0


def test_a_reason_is_one_of_a_few_words(exposed):
    exposed.calls.retire({}, "the shopper s_123 said so")
    assert exposed.sample("guardian_calls_ended_total", reason="other") == 1.0
    assert "s_123" not in exposed.metrics.render()[0].decode()


def test_a_status_that_holds_nonsense_costs_nothing(exposed):
    exposed.live = [
        {"frames": 7, "coverage": {"sound_s": [1]}, "counts": {"drops": {"picture": "x"}}},
        lived(),
    ]
    assert exposed.sample("guardian_call_seconds_total") == 10.0


def test_call_processes_tell_what_they_take_and_how_they_died(exposed):
    assert exposed.sample("guardian_call_processes") == 2
    assert exposed.sample("guardian_spares") == 1
    assert exposed.sample("guardian_call_processes_memory_bytes") == 300e6
    assert exposed.sample("guardian_call_process_largest_bytes") == 200e6
    assert exposed.sample("guardian_call_processes_open_fds") == 30
    assert exposed.sample("guardian_process_deaths_total", reason="crash") == 1
    assert exposed.sample("guardian_process_deaths_total", reason="memory") == 0


def test_the_host_of_a_server_tells_of_its_processes():
    host = Supervisor(WorkConfig(), lambda spec, event: None)
    assert isinstance(host, Processes)
    assert "crash" in set(map(str, host.deaths))


def test_what_can_be_lost_is_at_zero_before_it_is(exposed):
    text = Metrics().render()[0].decode()
    for outcome in ("kept", "lost", "erased", "forgotten"):
        assert f'guardian_evidence_clips_total{{outcome="{outcome}"}} 0.0' in text
    for kind in CallEventType:
        for outcome in ("refused", "lost"):
            assert f'guardian_events_total{{outcome="{outcome}",type="{kind.value}"}} 0.0' in text


def test_a_server_that_ends_says_so(exposed):
    assert exposed.sample("guardian_draining") == 0
    exposed.ready = Readiness(Status.DRAINING)
    assert exposed.sample("guardian_draining") == 1

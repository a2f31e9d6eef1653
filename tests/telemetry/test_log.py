import io
import json
import logging

import pytest

from guardian.core.latency import Latencies
from guardian.telemetry import log
from guardian.telemetry.calls import CallCollector
from guardian.telemetry.metrics import Metrics


@pytest.fixture
def lines(monkeypatch):
    root = logging.getLogger()
    before = root.handlers[:], root.level
    log.configure()
    stream = io.StringIO()
    monkeypatch.setattr(root.handlers[0], "stream", stream)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    root.handlers[:], level = before
    root.setLevel(level)


def test_nothing_said_or_secret_is_logged(lines):
    log.logger("guardian.x").warning(
        "a call of 13812345678", sdp="v=0", token="leg_abc", heard="加微信", nested={"text": "微信"}, n=3
    )
    logging.getLogger("aiortc.x").warning("offer v=0\r\na=candidate:1 %s", "192.0.2.1")
    text = json.dumps(lines(), ensure_ascii=False)
    for secret in ("13812345678", "leg_abc", "微信", "192.0.2.1"):
        assert secret not in text
    assert lines()[0]["n"] == 3


def test_an_error_is_told_by_type_and_place(lines):
    try:
        raise ValueError("the shopper said 加微信")
    except ValueError:
        logging.getLogger("guardian.y").exception("it failed")
    (line,) = lines()
    assert line["error"] == "ValueError"
    assert "test_log.py" in line["where"]
    assert "微信" not in json.dumps(line, ensure_ascii=False)


def test_stage_times_of_the_live_calls_are_in_the_metrics():
    latencies = Latencies()
    for ms in (2.0, 3.0, 40.0):
        latencies.record("protect", ms)
    status = {
        "protection": {"state": "armed"},
        "latency": latencies.summary(),
        "histograms": latencies.histograms(),
    }
    metrics = Metrics()
    calls = CallCollector(lambda: [status, status], lambda: (2, 4), lambda: {("file", "dead"): 1})
    metrics.watch(calls)
    text = metrics.render()[0].decode()
    assert 'guardian_calls{state="armed"} 2.0' in text
    assert "guardian_call_slots 4.0" in text
    assert 'guardian_outbox_events{sink="file",state="dead"} 1.0' in text
    assert 'guardian_stage_seconds_count{stage="protect"} 6.0' in text
    calls.retire(status)
    assert 'guardian_stage_seconds_count{stage="protect"} 9.0' in metrics.render()[0].decode()
    assert 'guardian_stage_worst_seconds{quantile="p99",stage="protect"} 0.04' in text


def test_hits_of_rules_in_shadow_are_counted_over_calls_and_their_end():
    live = [{"rules": {"ruleset": "default@x", "shadow_hits": {"contact.add": 2}}}, {"rules": {}}, {}]
    metrics, calls = Metrics(), CallCollector(lambda: live, lambda: (1, 2), dict)
    metrics.watch(calls)
    calls.retire({"rules": {"shadow_hits": {"contact.add": 1, "payment.wallet": 4}}})
    text = metrics.render()[0].decode()
    assert 'guardian_shadow_hits_total{rule="contact.add"} 3.0' in text
    assert 'guardian_shadow_hits_total{rule="payment.wallet"} 4.0' in text

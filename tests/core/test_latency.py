"""Histograms quote what was measured."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardian.core.latency import Histogram, Latencies


def test_an_empty_histogram_says_nothing():
    assert Histogram().summary() == {"n": 0, "p50": None, "p95": None, "p99": None, "max": None}


def test_one_duration_is_quoted_whole():
    histogram = Histogram()
    histogram.record(7.25)
    assert histogram.summary() == {"n": 1, "p50": 7.25, "p95": 7.25, "p99": 7.25, "max": 7.25}


def test_durations_beyond_the_last_bucket_count():
    histogram = Histogram()
    for ms in (1.0, 90_000.0):
        histogram.record(ms)
    assert histogram.percentile(0.99) == 90_000.0


@given(st.lists(st.floats(0.01, 10_000), min_size=1, max_size=200), st.sampled_from([0.5, 0.95, 0.99]))
def test_a_percentile_is_at_most_a_bucket_too_high(values, share):
    histogram = Histogram()
    for ms in values:
        histogram.record(ms)
    ranked = sorted(values)
    true = next(v for i, v in enumerate(ranked, 1) if i >= share * len(values))
    quoted = histogram.percentile(share)
    assert true <= quoted * (1 + 1e-9)
    assert quoted <= true * 1.07


def test_stages_are_kept_apart():
    latencies = Latencies()
    latencies.record("faces", 2.0)
    latencies.record_all([("faces", 2.0), ("cover", 1.0)])
    summary = latencies.summary()
    assert summary["faces"]["n"] == 2
    assert summary["cover"]["p50"] == pytest.approx(1.0)

"""The call benchmark measures what it says; its number survives protection."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardian.bench import timecode
from guardian.bench.call import Effort, measure
from guardian.bench.report import write

ROW = {
    "calls", "size", "fps", "cpu_per_call", "protect_ms", "added_latency_ms", "stock_relay_latency_ms",
    "over_budget", "curtain_frames", "rss_mb",
}  # fmt: skip


@given(st.integers(0, 5000))
def test_a_number_is_read_back_also_after_averaging(number):
    luma = np.full((480, 640), 128, np.uint8)
    timecode.paint(luma, number)
    assert timecode.read(luma, luma.shape[1]) == number % timecode.COUNT
    means = luma.reshape(30, 16, 40, 16).mean(axis=(1, 3))
    averaged = np.kron(means, np.ones((16, 16))).astype(np.uint8)
    assert timecode.read(averaged, 640) == number % timecode.COUNT
    assert timecode.read(averaged[::2, ::2], 640) == number % timecode.COUNT, "made smaller on its way"


def test_a_picture_without_number_has_none():
    assert timecode.read(np.full((480, 640), 30, np.uint8), 640) is None


@pytest.mark.real
def test_a_short_run_gives_whole_rows(tmp_path, weights):
    weights("face")
    weights("person")
    said = []
    rows = measure(Effort(((640, 480),), (1,), 4.0, 3.0), said.append)
    write(tmp_path / "call.json", rows)
    (row,) = json.loads((tmp_path / "call.json").read_text("utf-8"))["results"]
    assert set(row) >= ROW
    for name in ("added_latency_ms", "stock_relay_latency_ms"):
        assert set(row[name]) == {"p50", "p95", "p99"}
        assert row[name]["p50"] is not None
    assert row["cpu_per_call"] > 0
    assert row["frames"] > 30

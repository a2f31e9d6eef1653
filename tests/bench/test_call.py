"""The call benchmark measures what it says; its number survives protection."""

from __future__ import annotations

import json
from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardian.bench import timecode
from guardian.bench.call import Effort, carried, costs, drawing, measure
from guardian.bench.camera import Film
from guardian.bench.ladder import Rung, too_many
from guardian.bench.report import write
from guardian.core.capacity import Load
from guardian.core.errors import Unavailable

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


@pytest.mark.live
def test_a_short_run_gives_whole_rows(tmp_path, weights):
    weights("face")
    weights("person")
    said = []
    rows = measure(Effort(((640, 480),), 2, 2.0, 3.0), said.append)
    write(tmp_path / "call.json", rows)
    row, *others = json.loads((tmp_path / "call.json").read_text("utf-8"))["results"]
    assert [row["calls"], *(other["calls"] for other in others)] == [1, 2][: len(others) + 1]
    assert others or row["too_many"]
    assert set(row) >= ROW
    for name in ("added_latency_ms", "stock_relay_latency_ms"):
        assert set(row[name]) == {"p50", "p95", "p99"}
        assert row[name]["p50"] is not None
    assert row["cpu_per_call"] > 0
    assert row["frames"] > 30


def rung(calls, p95, too_many=None):
    delays = {"p50": 20.0, "p95": p95, "p99": p95}
    return {
        "calls": calls,
        "size": "640x480",
        "cpu_per_call": 0.5,
        "calls_per_core": 2.0,
        "stock_cpu_per_call": 0.4,
        "added_latency_ms": delays,
        "stock_relay_latency_ms": delays,
        "own_mb_per_call": 300.0,
        "shared_mb_per_call": 40.0,
        "too_many": too_many,
    }


def test_the_cost_of_the_most_calls_that_were_carried_is_kept():
    rows = [rung(1, 40.0), {**rung(2, 60.0), "cpu_per_call": 0.6}, rung(3, 180.0, "late")]
    assert costs(rows) == {(640, 480): Load(0.6, 340.0)}
    with pytest.raises(Unavailable):
        costs(rows[2:])


def test_what_a_machine_carries_is_told_and_drawn():
    rows = [rung(1, 40.0), rung(2, 60.0), rung(3, 180.0, "pictures came 180 ms later at p95")]
    (said,) = carried(rows)
    assert said == (
        "640x480: 2 calls at once, 2.0 for each core used; with 3 pictures came 180 ms later at p95."
    )
    assert carried(rows[:2])[0].endswith("more were not tried.")
    assert "0 calls at once" in carried(rows[2:])[0]
    drawn = ElementTree.fromstring(drawing(rows))
    assert "180" in "".join(drawn.itertext())


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({}, None),
        ({"seen_ms": []}, "no picture"),
        ({"seen_ms": [300.0] * 100}, "ms later"),
        ({"fps": 20.0}, "20 pictures a second"),
        ({"frames": {"in": 100, "over_budget": 40, "curtain": 0}}, "40% of the pictures took more"),
        ({"frames": {"in": 100, "over_budget": 0, "curtain": 3}}, "3% of the pictures were not shown"),
    ],
)
def test_a_machine_that_has_enough_says_why(more, why):
    calm = Rung(1, [30.0] * 100, 29.9, None, [], {"in": 100, "over_budget": 5, "curtain": 0}, [])
    told = too_many(replace(calm, **more), Film((640, 480)), 5.0)
    assert (told is None) if why is None else why in told

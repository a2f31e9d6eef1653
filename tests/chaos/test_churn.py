"""Calls that come and go leave nothing behind, and pictures of others go on while one ends."""

from __future__ import annotations

import asyncio

import pytest

from guardian.bench.churn import GROWTH, Effort, measure, misses
from guardian.bench.script import quiet_steps

pytestmark = [pytest.mark.live, pytest.mark.timeout(300)]

EFFORT = Effort(calls=4, batch=2, at_once=2, closings=1)


@pytest.fixture(scope="module")
def rows():
    found = asyncio.run(measure(EFFORT, quiet_steps()))
    return {row["what"]: row for row in found}


def test_every_call_shows_a_picture(rows):
    row = rows["calls, seconds each"]
    assert row["failures"] == []
    assert row["after"] == row["before"] == EFFORT.calls


@pytest.mark.parametrize("what", ["threads", "descriptors"])
@pytest.mark.parametrize("process", ["server", "measuring peers"])
def test_nothing_is_left_behind(rows, process, what):
    row = rows[f"{process}: {what}"]
    assert row["after"] - row["before"] <= GROWTH[what]


def test_the_servers_memory_does_not_follow_the_calls(rows):
    row = rows["server: MB"]
    # Two samples: allocators still settle. `make chaos` takes the slope over 200 calls.
    assert row["after"] - row["before"] < 8


def test_pictures_of_another_call_go_on_while_one_ends(rows):
    """How much later they come is for `make chaos` to measure, on a machine that does nothing else."""
    (row,) = [row for what, row in rows.items() if what.startswith("worst delay")]
    assert len(row["later_ms"]) == EFFORT.closings, "pictures stopped while a call ended, or after it"


def test_what_grows_is_told():
    grown = [
        {"what": "calls", "before": 10, "after": 9, "per_call": 1.0, "failures": ["late"]},
        {"what": "server: threads", "before": 5.0, "after": 15.0, "per_call": 1.0},
        {"what": "server: MB", "before": 50.0, "after": 60.0, "per_call": 1.0},
        {"what": "worst delay", "before": 10.0, "after": 50.0, "per_call": 40.0},
    ]
    assert len(misses(grown)) == 4
    flat = [{**row, "after": row["before"], "per_call": 0.0} for row in grown]
    flat[0]["failures"] = []
    assert misses(flat) == []

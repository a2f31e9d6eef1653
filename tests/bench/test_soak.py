"""A long run made short: what it says of processes, events and pictures, and what it would complain about."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from xml.etree import ElementTree

import pytest

from guardian.bench.memory import Course, Holding, ends, slope_per_hour
from guardian.bench.script import quiet_steps
from guardian.bench.soak import QUICK, measure, script
from guardian.bench.soak_account import (
    buckets,
    events_row,
    lag_row,
    misses,
    pictures_row,
    process_rows,
    quantile_ms,
)
from guardian.bench.soak_call import Saw

SAW = Saw("soak-1-1", 2.0, 30.0, 400, 390, 0, 3, True, 12)
WHOLE = {"call.joined": 2, "call.coverage": 1, "call.left": 2, "call.left whole": 1}


def test_single_peaks_do_not_move_a_slope():
    at = [float(second) for second in range(0, 3600, 60)]
    values = [100 + second / 3600 * 2 for second in at]
    values[10] += 500
    assert slope_per_hour(at, values) == pytest.approx(2.0, abs=0.01)
    assert slope_per_hour(at[:2], values[:2]) is None


def test_ends_are_medians():
    assert ends([5.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 2.0, 2.0, 9.0]) == (3.0, 5.5)


def course(name, mb_per_hour=0.0, threads=0, cores=0.3):
    held = [
        Holding(float(at), 100 + at / 3600 * mb_per_hour, 90, 10 + threads * at // 1200, 20, cores * at)
        for at in range(0, 1200, 10)
    ]
    return Course(name, held)


def sentences(**more):
    courses = [course("server", **more), course("call process"), course("call process", cores=0.001)]
    return misses(
        [
            *process_rows(courses, 0.0, 100.0),
            *lag_row("", "", {}),
            events_row(taken(WHOLE), METRICS, [SAW]),
            pictures_row([SAW]),
        ]
    )


METRICS = """\
guardian_events_total{outcome="accepted",type="call.joined"} 2.0
guardian_events_total{outcome="accepted",type="call.left"} 4.0
guardian_loop_lag_seconds_bucket{le="0.001"} 90.0
guardian_loop_lag_seconds_bucket{le="0.005"} 98.0
guardian_loop_lag_seconds_bucket{le="0.01"} 100.0
guardian_loop_lag_seconds_bucket{le="+Inf"} 100.0
"""


def taken(types, missing=0, call="soak-1-1"):
    count = sum(types.values())
    one = {
        "path": "/soak",
        "source": f"/guardian/x/calls/{call}",
        "last": count + missing,
        "missing": missing,
        "types": types,
    }
    return {"taken": {"/soak": count}, "disordered": 0, "calls": [one]}


def test_what_grows_is_told():
    assert sentences() == []
    (grown,) = sentences(mb_per_hour=5.0)
    assert "server: MB of its own grew by 5 MB" in grown
    (more,) = sentences(threads=4)
    assert more.startswith("server: threads grew from 10")


def test_processes_are_told_apart_by_what_they_do():
    rows = process_rows([course("call process"), course("call process", cores=0.001)], 0.0, 100.0)
    assert {row["what"].partition(":")[0] for row in rows} == {"call", "spare"}


def test_a_process_that_came_and_went_has_no_slope():
    short = Course("call process", course("call process").held[:20])
    assert len(process_rows([course("server"), short], 0.0, 100.0)) == 4


@pytest.mark.parametrize(
    ("account", "lost"),
    [
        (taken(WHOLE), 0),
        (taken(WHOLE, missing=2), 2),
        (taken({**WHOLE, "call.left": 1}), 1),
        (taken({**WHOLE, "call.left whole": 0, "call.left": 3}), 0),
        (taken(WHOLE, call="another"), 0),
    ],
)
def test_lost_events_are_told(account, lost):
    row = events_row(account, METRICS, [SAW])
    assert row["lost"] == lost
    said = misses([row, pictures_row([SAW])])
    assert (said == []) == (account == taken(WHOLE))


def test_uncovered_pictures_and_failed_calls_are_told():
    failed = replace(SAW, shown_s=None, failure="no slot")
    said = misses(
        [events_row(taken(WHOLE), METRICS, [SAW]), pictures_row([replace(SAW, uncovered=1), failed])]
    )
    assert said == ["soak-1-1: no slot", "1 pictures came uncovered."]


def test_a_late_loop_is_told():
    counts = buckets(METRICS)
    assert quantile_ms(counts, 0.5) == pytest.approx(0.6, abs=0.1)
    assert quantile_ms(counts, 0.99) == 7.5
    assert quantile_ms({}, 0.99) is None
    rows = lag_row(METRICS, METRICS, {"soak-whole": [100.0] * 5 + [30.0] * 20, "soak-1-1": [1.0] * 20})
    assert [row["last"] for row in rows] == [None, 30.0, 1.0]


@pytest.mark.live
@pytest.mark.timeout(300)
def test_a_short_run_gives_whole_rows(weights):
    weights("face")
    weights("person")
    effort = replace(QUICK, seconds=24.0, short_s=(5.0, 6.0), long_every=100)
    rows = asyncio.run(measure(effort, quiet_steps()))
    named = {row["what"]: row for row in rows}
    events, pictures = named["events: accepted, taken"], named["calls: opened, shown"]
    assert pictures["failures"] == []
    assert pictures["last"] >= 2
    assert pictures["uncovered"] == 0
    assert pictures["searched"]
    assert pictures["lost_packets"] > 0
    assert events["lost"] == 0
    assert events["broken"] == []
    assert events["first"] == events["last"] > 8
    assert {"server: MB of its own", "call: MB of its own"} <= set(named)
    drawn = ElementTree.fromstring(script().drawing(rows))
    assert len([one for one in drawn.iter() if one.tag.endswith("polyline")]) >= 2

"""A picture of many packets leaves over part of the time to the next one; few key frames are enough."""

from __future__ import annotations

from itertools import pairwise

import pytest

from guardian.bench.impairment import Conditions, Direction
from guardian.rtc.key_frames import KeyFramePlan
from guardian.rtc.pacing import Way, departures

FRAME_S = 1 / 30


@pytest.mark.parametrize("count", [0, 1, 2])
def test_few_packets_leave_at_once(count):
    assert list(departures(count, count * 1180, Way(FRAME_S, 1_000_000))) == [(0.0, count)]


@pytest.mark.parametrize("count", [9, 13, 40, 150])
def test_a_large_picture_leaves_over_half_the_time_to_the_next(count):
    groups = list(departures(count, count * 1180, Way(FRAME_S, None)))
    assert sum(n for _, n in groups) == count
    assert groups[0][0] == 0.0
    assert FRAME_S / 3 < groups[-1][0] < FRAME_S / 2
    assert max(n for _, n in groups) <= -(-count // 8) + 1


def test_where_the_network_is_the_limit_it_leaves_at_two_and_a_half_times_that():
    groups = list(departures(12, 12 * 1180, Way(FRAME_S, 500_000)))
    assert groups[-1][0] == pytest.approx(12 * 1180 * 8 / 1_250_000, rel=0.2)
    slow = list(departures(100, 100 * 1180, Way(FRAME_S, 100_000)))
    assert slow[-1][0] <= 0.1, "a picture is not held back for longer"


def through(line, sizes, way):
    """Packets of a picture that a line drops."""
    sent = [
        (after, size) for after, count in departures(len(sizes), sum(sizes), way) for size in sizes[:count]
    ]
    return sum(not line.fate(b"\x80" * size, after) for after, size in sent)


def test_a_key_frame_passes_a_thin_line_with_a_short_queue():
    sizes = [1180] * 30
    thin = Conditions(rate_kbps=1500, queue_s=0.12)
    line = Direction(thin)
    burst = sum(not line.fate(b"\x80" * size, 0.0) for size in sizes)
    assert burst > 5, "back to back, as stock sends it"
    assert through(Direction(thin), sizes, Way(FRAME_S, 1_400_000)) == 0


def test_requests_close_together_are_one_key_frame():
    plan = KeyFramePlan(0.0)
    made = []
    for i in range(100):
        now = i * 0.02
        plan.want()
        if plan.is_due(now):
            plan.made(now)
            made.append(now)
    assert made[0] == 0.0
    assert all(later - earlier >= 0.3 for earlier, later in pairwise(made))
    assert len(made) >= 6, "a request is never forgotten"


def test_key_frames_come_only_when_asked_for_or_every_so_often():
    quiet, steady = KeyFramePlan(0.0), KeyFramePlan(5.0)
    for plan in (quiet, steady):
        assert plan.is_due(0.0), "a stream begins with one"
        plan.made(0.0)
    assert not any(quiet.is_due(i) for i in range(1, 1000))
    assert not steady.is_due(4.9)
    assert steady.is_due(5.0)
    assert not quiet.is_due(4.4, wished_s=4.5)
    assert quiet.is_due(4.5, wished_s=4.5)

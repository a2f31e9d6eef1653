"""What somebody has met with today, and when they should pause."""

from __future__ import annotations

import pytest

from guardian.core.cases import ReviewTerms
from guardian.core.exposure import Exposure, Play, exposure

TERMS = ReviewTerms(break_after_s=3000.0, break_s=600.0)


def plays(*times: float, seconds: float = 20.0) -> list[Play]:
    return [Play(at, f"ev_{at}", seconds) for at in times]


def test_nothing_played_is_nothing():
    assert exposure([], 1000.0, TERMS) == Exposure(0, 0.0, 0.0)


def test_a_clip_counts_once_however_often_it_is_opened():
    twice = [Play(10.0, "ev_1", 20.0), Play(40.0, "ev_1", 20.0), Play(50.0, "ev_2", 10.0)]
    found = exposure(twice, 60.0, TERMS)
    assert (found.clips, found.seconds, found.stretch_s) == (2, 30.0, 50.0)


@pytest.mark.parametrize(
    ("times", "now", "stretch_s", "pause_s"),
    [
        ((0.0, 500.0, 1000.0), 1100.0, 1100.0, 0.0),
        (tuple(range(0, 3000, 500)), 3000.0, 3000.0, 600.0),
        ((0.0, 1000.0, 1100.0), 1150.0, 150.0, 0.0),  # There was a pause before the second one.
        (tuple(range(0, 3000, 500)), 3600.0, 0.0, 0.0),  # There is one now.
    ],
)
def test_a_stretch_ends_with_a_pause(times, now, stretch_s, pause_s):
    found = exposure(plays(*times), now, TERMS)
    assert (found.stretch_s, found.pause_s) == (stretch_s, pause_s)


def test_nobody_is_asked_where_that_is_switched_off():
    assert exposure(plays(0.0, 500.0, 1000.0), 1100.0, ReviewTerms(break_after_s=0.0)).pause_s == 0.0

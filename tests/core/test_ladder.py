"""The budget is kept by doing less, one step at a time, and picture comes back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardian.core.ladder import MOST_PATIENCE_S, PATIENCE_S, STEPS, UNNOTICED, Ladder

BUDGET, LATE = 33.0, 250.0


class Stream:
    """A ladder fed with 30 pictures a second."""

    def __init__(self):
        self.ladder, self.now = Ladder(BUDGET, LATE), 0.0

    def play(self, seconds, age_ms, lost=0):
        for _ in range(round(seconds * 30)):
            self.now += 1 / 30
            self.ladder.took(self.now, age_ms, lost)
        return self.ladder.step


def test_nothing_is_given_up_within_the_budget():
    assert Stream().play(60, 20.0) == 0


def test_over_the_budget_only_what_nobody_notices_is_given_up():
    stream = Stream()
    assert stream.play(60, 60.0) == UNNOTICED
    assert STEPS[UNNOTICED].keep_every == STEPS[UNNOTICED].shrink == 1


@pytest.mark.parametrize(("age_ms", "lost"), [(200.0, 0), (20.0, 1), (float("nan"), 0)])
def test_who_cannot_keep_up_goes_down_a_step_a_second(age_ms, lost):
    stream = Stream()
    steps = [stream.play(1.1, age_ms, lost) for _ in range(8)]
    assert steps[:4] == [1, 2, 3, 4]
    assert steps[-1] == len(STEPS) - 1


def test_a_single_slow_picture_changes_nothing():
    stream = Stream()
    for _ in range(20):
        stream.play(0.97, 15.0)
        assert stream.play(1 / 30, 240.0) == 0


def test_picture_comes_back_step_by_step_after_a_calm_while():
    stream = Stream()
    stream.play(6, 200.0)
    assert stream.play(PATIENCE_S - 1, 15.0) == len(STEPS) - 1
    assert stream.play(4 * PATIENCE_S + 8, 15.0) == 0


def test_steps_that_were_taken_back_too_early_are_kept_longer_each_time():
    stream = Stream()
    stream.play(6, 200.0)
    waits = []
    for _ in range(6):
        waited = 0.0
        while stream.ladder.step == len(STEPS) - 1:
            stream.play(1, 15.0)
            waited += 1
        waits.append(waited)
        stream.play(3, 200.0)
    assert waits[:4] == sorted(waits[:4])
    assert waits[-1] > 4 * waits[0]
    assert waits[-1] <= MOST_PATIENCE_S + 3


@given(
    st.lists(
        st.tuples(st.floats(0, 2), st.floats(allow_nan=True), st.integers(-3, 100)), min_size=1, max_size=300
    )
)
def test_it_stays_on_the_ladder_and_never_moves_by_more_than_a_step(pictures):
    ladder, now = Ladder(BUDGET, LATE), 0.0
    for pause, age_ms, lost in pictures:
        before, now = ladder.step, now + pause
        ladder.took(now, age_ms, lost)
        assert 0 <= ladder.step < len(STEPS)
        assert abs(ladder.step - before) <= 1


def test_a_slow_picture_after_a_pause_changes_nothing():
    stream = Stream()
    stream.play(3, 15.0)
    stream.now += 20
    stream.ladder.took(stream.now, 400.0, 0)
    assert stream.play(3, 15.0) == 0

"""When missing packets are asked for, given up, and a key frame is asked for instead. Virtual time."""

from __future__ import annotations

import math

import pytest

from guardian.rtc.compat.loss import KeyFrameWish, LossWatch


def watching(*arrivals):
    """A watch after (number, time) arrivals."""
    watch = LossWatch()
    for number, now in arrivals:
        watch.arrived(number, now)
    return watch


def play(watch, until, step=0.001, start=0.0):
    """[(time, what)] of all the watch does by itself."""
    done, now = [], start
    while now < until:
        if watch.due() <= now:
            gone = watch.to_give_up(now)
            if gone:
                done.append((round(now, 3), gone))
            asked = watch.to_ask(now)
            if asked:
                done.append((round(now, 3), asked))
        now += step
    return done


def test_nothing_is_due_while_nothing_is_missing():
    watch = watching((1, 0.0), (2, 0.03), (3, 0.06))
    assert watch.due() == math.inf
    assert not watch.to_ask(9.0)
    assert watch.to_give_up(9.0) is None


def test_a_gap_is_asked_for_at_once_then_again_then_given_up():
    watch = watching((1, 0.0), (4, 0.0))
    done = play(watch, 2.0)
    assert done[0] == (0.0, [2, 3])
    assert [asked for _, asked in done[:-1]] == [[2, 3]] * (len(done) - 1)
    assert 0.03 <= done[1][0] <= 0.05
    assert len(done) - 1 <= 4
    assert done[-1][1] == (3, 2)
    assert done[-1][0] <= 0.11
    assert watch.due() == math.inf


@pytest.mark.parametrize("fps", [15, 30, 60])
def test_with_one_packet_a_frame_it_is_given_up_within_150_ms_of_when_it_was_due(fps):
    """In a still scene the gap is only seen when the next frame's packet comes."""
    watch = watching((1, 0.0), (3, 2 / fps))
    when, gone = play(watch, 2.0, start=2 / fps)[-1]
    assert gone == (2, 1)
    assert when - 1 / fps < 0.15


def test_what_comes_is_not_missing():
    watch = watching((1, 0.0), (4, 0.0), (3, 0.01), (2, 0.02))
    assert watch.due() == math.inf


def test_the_round_trip_is_learned_and_then_waited_for():
    watch = watching((1, 0.0), (3, 0.0))
    play(watch, 0.05)
    assert watch.resent(2, 0.06)
    assert watch.rtt == pytest.approx(0.06)
    watch.rtt = 0.2
    watch.arrived(5, 1.0)
    done = play(watch, 2.0, start=1.0)
    assert done[-1][0] == pytest.approx(1.34, abs=0.01)
    assert [when for when, _ in done[:-1]] == pytest.approx([1.0, 1.2], abs=0.01)


def test_the_round_trip_is_learned_from_what_comes_too_late():
    watch = watching((1, 0.0), (3, 0.0))
    play(watch, 0.2)
    assert not watch.resent(2, 0.3), "nobody waits for it any longer"
    assert watch.rtt == pytest.approx(0.3)


def test_no_wait_is_longer_than_0_4_s():
    watch = watching((1, 0.0))
    watch.rtt = 3.0
    watch.arrived(3, 0.0)
    assert play(watch, 2.0)[-1][0] <= 0.41


def test_the_last_packet_of_a_frame_can_be_asked_for_before_the_next_one_comes():
    watch = watching((1, 0.0), (2, 0.0))
    watch.suspect(0.06)
    assert watch.to_ask(0.06) == [3]
    assert watch.to_give_up(5.0) is None, "perhaps nothing was sent"
    watch.arrived(4, 5.0)
    assert watch.to_give_up(5.0) == (3, 1)


def test_a_suspicion_that_was_wrong_is_forgotten():
    watch = watching((1, 0.0))
    watch.suspect(0.06)
    watch.arrived(2, 0.1)
    assert watch.due() == math.inf


def test_what_is_remembered_is_bounded():
    watch = LossWatch()
    for i in range(3000):
        watch.arrived(i * 2, i * 0.5)
        watch.to_ask(i * 0.5)
        watch.to_give_up(i * 0.5)
        assert len(watch) <= 1
        assert len(watch._given_up) <= 256


def test_skipping_gives_everything_up():
    watch = watching((1, 0.0), (4, 0.0))
    assert watch.skip(500, 0.1) == 2 + 495
    assert watch.due() == math.inf
    assert watch.highest == 500


def asked(wish, until, rtt=None, start=0.0):
    times, now = [], start
    while now < until:
        if wish.asks(now, rtt):
            times.append(round(now, 2))
        now += 0.01
    return times


def test_a_key_frame_is_asked_for_at_once_and_until_it_came():
    wish = KeyFrameWish()
    assert asked(wish, 1.0) == []
    wish.want(1.0)
    assert asked(wish, 1.95, start=1.0) == [1.0, 1.3, 1.6, 1.9]
    wish.granted()
    assert asked(wish, 9.0, start=2.0) == []


def test_with_a_long_way_it_is_asked_for_less_often():
    wish = KeyFrameWish()
    wish.want(0.0)
    assert asked(wish, 1.0, rtt=0.3) == [0.0, 0.45, 0.9]


def test_a_key_frame_on_its_way_is_waited_for_but_not_for_ever():
    wish = KeyFrameWish()
    wish.want(0.0)
    assert wish.asks(0.0, None)
    wish.coming(0.29)
    assert asked(wish, 0.58, start=0.01) == []
    assert asked(wish, 0.7, start=0.58) == [pytest.approx(0.59, abs=0.011)]


def test_a_new_loss_is_not_answered_by_an_old_request():
    wish = KeyFrameWish()
    wish.want(0.0)
    assert wish.asks(0.0, None)
    wish.coming(0.25)
    wish.want_anew(0.26)
    assert wish.asks(0.26, None)


def test_requests_are_0_2_s_apart_however_many_want_one():
    wish = KeyFrameWish()
    times, now = [], 0.0
    while now < 1.0:
        wish.want_anew(now)
        if wish.asks(now, None):
            times.append(now)
            wish.granted()
        now += 0.001
    assert len(times) == 5

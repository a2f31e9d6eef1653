"""Failed starts are tried again at once a few times, and then less and less often."""

from guardian.core.starts import FORGOTTEN_S, FREE, LONGEST_S, Starts


def failing(times, at=0.0):
    starts = Starts()
    return starts, [starts.failed(at) for _ in range(times)]


def test_the_first_failures_cost_no_time_and_the_loop_is_told_once():
    starts, told = failing(FREE + 3)
    assert told == [*[False] * (FREE - 1), True, False, False, False]
    assert starts.looping
    few, _ = failing(FREE - 1)
    assert not few.looping
    assert few.wait_s(0.0) == 0.0


def test_waits_double_up_to_a_longest_one_and_pass():
    waits = [failing(FREE + more)[0].wait_s(0.0) for more in range(12)]
    assert waits[:3] == [1.0, 2.0, 4.0]
    assert waits[-1] == LONGEST_S
    starts, _ = failing(FREE + 2)
    assert starts.wait_s(3.0) == 1.0
    assert starts.wait_s(4.0) == 0.0


def test_one_that_works_ends_the_loop():
    starts, _ = failing(FREE)
    assert starts.worked()
    assert not starts.worked()
    assert not starts.looping
    assert starts.wait_s(0.0) == 0.0


def test_old_failures_are_forgotten():
    starts, _ = failing(FREE - 1)
    assert not starts.failed(FORGOTTEN_S + 1)
    assert not starts.looping

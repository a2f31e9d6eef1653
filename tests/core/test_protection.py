"""Trust comes slowly and goes at once."""

from hypothesis import given
from hypothesis import strategies as st

from guardian.core.frames import State
from guardian.core.protection import FAIL_AFTER, SLOWER, CurtainReason, Protection


def prove(protection, n):
    return [protection.proven() for _ in range(n)]


def test_it_arms_after_the_warming_frames():
    protection = Protection(3)
    assert prove(protection, 4) == [False, False, False, True]
    assert protection.state is State.ARMED


def test_the_very_first_frame_is_never_trusted():
    assert Protection(0).proven() is False


def test_one_doubt_disarms_and_as_many_frames_as_at_the_start_rearm():
    protection = Protection(3)
    prove(protection, 4)
    protection.doubt("late")
    assert (protection.state, protection.reason) == (State.DEGRADED, "late")
    assert prove(protection, 4) == [False, False, False, True]
    assert protection.reason == ""


def test_many_doubts_are_a_failure_that_is_slow_to_mend():
    protection = Protection(3)
    for _ in range(FAIL_AFTER):
        protection.doubt("failed")
    assert protection.state is State.FAILED
    assert prove(protection, 3 * SLOWER + 1) == [False] * 3 * SLOWER + [True]


def test_the_card_tells_starting_from_interrupted():
    protection = Protection(3)
    assert protection.curtain is CurtainReason.STARTING
    protection.doubt("failed")
    assert protection.curtain is CurtainReason.INTERRUPTED
    protection.restart("new size")
    assert (protection.state, protection.curtain) == (State.WARMING, CurtainReason.STARTING)


@given(st.lists(st.booleans(), max_size=200))
def test_only_an_unbroken_run_of_proofs_shows_a_picture(script):
    protection, run = Protection(3), 0
    for good in script:
        if good:
            run += 1
            if protection.proven():
                assert run > 3 or protection.state is State.ARMED
                assert protection.state is State.ARMED
        else:
            run = 0
            protection.doubt("planted")
            assert protection.state is not State.ARMED

"""Slots are counted from what calls cost, and never run over."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardian.core.capacity import Budget, Costs, Load, Slots, size_in, total
from guardian.core.errors import HostFull

VGA, HD = (640, 480), (1280, 720)
COSTS = Costs({VGA: Load(0.6, 350), HD: Load(1.0, 400)})
COSTLY = st.builds(Load, st.floats(0.05, 4), st.floats(10, 2000))
SIZES = st.tuples(st.integers(16, 4096), st.integers(16, 4096))


class Time:
    now = 0.0

    def __call__(self):
        return self.now


def slots(room, costs=COSTS, expected=VGA, clock=None):
    return Slots(Budget(room, costs, expected), clock or Time())


def admitted(ledger, calls):
    refusals = []
    for call_id in calls:
        try:
            ledger.reserve(call_id)
        except HostFull as full:
            refusals.append(full.retry_after)
    assert all(1 <= seconds <= 60 for seconds in refusals)
    return len(calls) - len(refusals)


def test_processors_or_memory_bound_the_calls():
    assert slots(Load(4.0, math.inf)).counts() == (0, 6)
    assert slots(Load(4.0, 1100)).counts() == (0, 3)


def test_a_large_call_leaves_fewer_slots():
    ledger = slots(Load(2.0, 4000))
    ledger.reserve("large")
    assert ledger.counts() == (1, 3)
    ledger.learn("large", HD)
    assert ledger.counts() == (1, 2)
    ledger.learn("large", (320, 240))  # it may grow again
    assert ledger.counts() == (1, 2)
    ledger.ended("large")
    assert ledger.counts() == (0, 3)


def test_calls_that_have_grown_go_on_and_leave_no_slot():
    ledger = slots(Load(1.2, 4000))
    assert admitted(ledger, ["a", "b"]) == 2
    ledger.learn("a", HD)
    ledger.learn("b", HD)
    assert ledger.counts() == (2, 2)
    assert admitted(ledger, ["c"]) == 0
    ledger.ended("a")
    assert admitted(ledger, ["c"]) == 0, "what is left carries no call of the expected size"


def test_a_small_machine_takes_one_call():
    ledger = slots(Load(0.1, 100))
    assert ledger.counts() == (0, 1)
    assert admitted(ledger, ["a", "b"]) == 1


def test_a_slot_is_taken_once_and_given_back_once():
    ledger = Slots(Budget.fixed(2), Time())
    assert admitted(ledger, ["a", "a", "a"]) == 3
    assert ledger.counts() == (1, 2)
    ledger.release("a")
    ledger.release("a")
    ledger.ended("never there")
    assert ledger.counts() == (0, 2)


def test_the_next_slot_is_told_from_how_long_calls_last():
    clock = Time()
    ledger = Slots(Budget.fixed(2), clock)
    assert admitted(ledger, ["a", "b"]) == 2
    assert ledger.retry_after() == 60
    for i in range(40):
        ledger.ended("a")
        ledger.reserve("a")
        clock.now = 10.0 * (i + 1)
    assert ledger.retry_after() in (5, 6)


@given(COSTLY, COSTLY, SIZES, SIZES)
def test_larger_pictures_never_cost_less(small, large, one, other):
    costs = Costs({VGA: small, HD: large})
    less, more = sorted((one, other), key=lambda size: size[0] * size[1])
    assert costs.of(less).cores <= costs.of(more).cores + 1e-9
    assert costs.of(less).mb <= costs.of(more).mb + 1e-9


@given(
    st.floats(0, 64),
    st.floats(0, 64_000),
    COSTLY,
    st.lists(st.tuples(st.sampled_from(["come", "go", "grow", "fail"]), st.integers(0, 30), SIZES)),
)
def test_nothing_that_happens_lets_in_more_than_there_is_room_for(cores, mb, cost, story):
    room, costs = Load(cores, mb), Costs({VGA: cost})
    ledger, held = slots(room, costs), {}
    for what, number, size in story:
        call_id = f"c{number}"
        if what == "come" and call_id not in held:
            before = total(held.values())
            fits = before.cores + cost.cores <= cores + 1e-6 and before.mb + cost.mb <= mb + 1e-6
            try:
                ledger.reserve(call_id)
            except HostFull:
                assert held, "one call is always let in"
            else:
                assert fits or not held
                held[call_id] = cost
        elif what == "grow" and call_id in held:
            ledger.learn(call_id, size)
            now, was = costs.of(size), held[call_id]
            held[call_id] = Load(max(now.cores, was.cores), max(now.mb, was.mb))
        elif what in ("go", "fail"):
            (ledger.ended if what == "go" else ledger.release)(call_id)
            held.pop(call_id, None)
        taken, slots_in_all = ledger.counts()
        assert taken == len(held)
        assert slots_in_all >= max(1, taken)
    for call_id in list(held):
        ledger.ended(call_id)
    assert ledger.counts() == slots(room, costs).counts()


@pytest.mark.parametrize(
    ("status", "size"),
    [
        ({}, (0, 0)),
        ({"frames": {"size": None}}, (0, 0)),
        ({"frames": {"size": [640, 480]}}, VGA),
        ({"frames": {"size": ["a", 1]}}, (0, 0)),
        ({"frames": 3}, (0, 0)),
    ],
)
def test_the_size_of_a_call_is_in_its_status(status, size):
    assert size_in(status) == size


def test_a_fixed_number_of_calls_holds_whatever_their_size():
    ledger = Slots(Budget.fixed(2), Time())
    ledger.reserve("a")
    ledger.learn("a", (3840, 2160))
    ledger.reserve("b")
    assert ledger.counts() == (2, 2)

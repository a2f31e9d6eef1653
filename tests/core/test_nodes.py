"""Who is taken for dead in a fleet, and when: whatever stops, wakes, or is seen late."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guardian.core.nodes import MARGIN, Node, NodeState, Sightings
from guardian.fleet.wire import node_from, node_to_bytes

LEASE_S = 6.0


def node(name="a", state=NodeState.READY, slots=1, taken=0, incarnation="i"):
    return Node(name, incarnation, state, slots, taken)


def looked(sightings, start, end):
    """Looks four times a second from one moment to another."""
    now = start
    while now < end:
        sightings.look(now)
        now += 0.25
    sightings.look(end)


@settings(max_examples=200)
@given(
    st.lists(st.floats(0.1, 3.0), min_size=1, max_size=30), st.lists(st.booleans(), min_size=30, max_size=30)
)
def test_nobody_is_taken_for_dead_while_their_lease_may_hold(gaps, heard):
    """A renewal holds from before it was sent; it is seen at once, or never if an answer was lost."""
    sightings, now, held_until = Sightings(LEASE_S), 0.0, 0.0
    sightings.look(0.0)
    for number, (gap, seen) in enumerate(zip(gaps, heard, strict=False), start=1):
        if seen:
            # What is written is seen by all; only the writer may not know.
            sightings.see(node(), number, now)
            held_until = now + LEASE_S
        looked(sightings, now, now + gap)
        now += gap
        if sightings.stale(now):
            assert now >= held_until


@given(st.floats(LEASE_S, 1000.0))
def test_who_was_stopped_takes_nobody_for_dead(pause):
    sightings = Sightings(LEASE_S)
    sightings.see(node(), 1, 0.0)
    looked(sightings, 0.0, 1.0)
    sightings.look(1.0 + pause)
    assert not sightings.stale(1.0 + pause)
    looked(sightings, 1.0 + pause, 1.0 + pause + LEASE_S * MARGIN + 0.1)
    assert [one.node.name for one in sightings.stale(1.0 + pause + LEASE_S * MARGIN + 0.1)] == ["a"]


def test_entries_that_begin_anew_are_seen_after_all_were_forgotten():
    sightings = Sightings(LEASE_S)
    sightings.see(node(), 1000, 0.0)
    assert not sightings.see(node(state=NodeState.LEFT), 2, 1.0)
    sightings.clear()
    assert sightings.see(node(state=NodeState.LEFT), 2, 2.0)
    assert not sightings.alive("a", "i")


def test_only_those_who_claim_to_live_are_taken_for_dead():
    sightings = Sightings(LEASE_S)
    for state in NodeState:
        sightings.see(node(state.value, state), 1, 0.0)
    looked(sightings, 0.0, 60.0)
    assert {one.node.name for one in sightings.stale(60.0)} == {"ready", "unready", "draining"}


def test_a_slot_is_where_a_node_that_is_heard_of_has_one():
    sightings = Sightings(LEASE_S)
    sightings.see(node("full", taken=1), 1, 0.0)
    sightings.see(node("draining", NodeState.DRAINING), 1, 0.0)
    assert not sightings.anybody_free(0.0)
    sightings.see(node("free"), 1, 0.0)
    assert sightings.anybody_free(1.0)
    assert not sightings.anybody_free(LEASE_S)


def test_another_start_of_a_node_has_not_the_calls_of_the_former():
    sightings = Sightings(LEASE_S)
    sightings.see(node(incarnation="second"), 7, 0.0)
    assert sightings.alive("a", "second")
    assert not sightings.alive("a", "first")
    assert not sightings.see(node(incarnation="first"), 6, 0.0)
    assert not sightings.alive("a", "first")


def test_an_entry_of_another_version_is_read_as_far_as_it_is_known_here():
    written = json.loads(node_to_bytes(node(slots=3, taken=1)))
    assert node_from("a", json.dumps({**written, "zone": "north"}).encode()) == node(slots=3, taken=1)
    del written["slots"], written["taken"], written["version"]
    assert node_from("a", json.dumps(written).encode()) == node(slots=0)
    unknown = node_from("a", json.dumps({**written, "state": "resting", "slots": 3}).encode())
    assert unknown.holds("i")
    assert not unknown.holds("j")
    assert unknown.free == 0


@pytest.mark.parametrize("value", [b"", b"[]", b"null", b"\xff", b"[" * 100_000, b'{"state": "ready"}'])
def test_a_node_whose_entry_cannot_be_read_takes_nothing_and_keeps_its_calls_until_it_is_stale(value):
    sightings = Sightings(LEASE_S)
    sightings.see(node_from("a", value), 1, 0.0)
    assert sightings.alive("a", "i")
    assert not sightings.anybody_free(0.0)
    looked(sightings, 0.0, LEASE_S * MARGIN + 0.1)
    assert [one.node.name for one in sightings.stale(LEASE_S * MARGIN + 0.1)] == ["a"]

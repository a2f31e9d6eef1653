"""Nodes that die, stop and wake, and a broker that goes away: no call is two nodes' or lost."""

from __future__ import annotations

import re
import signal
import time
from contextlib import contextmanager

import pytest

from tests.chaos.fleet import LEASE_S, fleet, until

pytestmark = [pytest.mark.live, pytest.mark.timeout(300)]
SDP = {"Content-Type": "application/sdp"}
LOST = "this node lost its lease: its calls are others' now, and end here"


@pytest.fixture(scope="module")
def made(tmp_path_factory, need, postgres):
    """A fleet of two nodes with two slots each, which tests break and mend."""
    need("psycopg")
    with fleet(tmp_path_factory.mktemp("fleet"), need, postgres.made_store()) as one:
        one.settle(one.launch("a", slots=2), one.launch("b", slots=2))
        yield one


@contextmanager
def held_by(made, name):
    """A call that a node has, that node, and the other one."""
    node = made.nodes[name]
    (other,) = (one for one in made.nodes.values() if one is not node)

    def admitted():
        answer = other.create()
        if answer.status_code != 201:
            return None
        path = f"/v1/calls/{answer.json()['call_id']}"
        if other.client.get(path).json()["node"] == name:
            return answer.json()
        other.client.delete(path)
        return None

    call = until(admitted, 30, f"a call at {name}")
    yield call, node, other
    until(lambda: other.client.delete(f"/v1/calls/{call['call_id']}").status_code == 204, 30)


def state(node, call):
    """What a node says of the call; None while nobody can tell."""
    answer = node.client.get(f"/v1/calls/{call['call_id']}")
    return answer.json()["state"] if answer.status_code == 200 else None


def offered(node, call, role="shopper"):
    """What an offer of a leg is answered with."""
    headers = {**SDP, "Authorization": f"Bearer {call['legs'][role]['token']}"}
    path = f"/v1/calls/{call['call_id']}/{role}"
    return node.client.post(path, content="v=0\r\n", headers=headers).status_code


def told_of(made, call):
    """What was told of the call, in its order."""
    told = [event for node in made.nodes.values() for event in node.events()]
    return sorted(
        (event for event in told if event["source"].endswith(f"/{call['call_id']}")),
        key=lambda event: int(event["sequence"]),
    )


def reasons(events):
    """Why the whole call was over, each time."""
    left = [event["data"] for event in events if ".call.left." in event["type"]]
    return [data["reason"] for data in left if data["role"] is None]


def failures(made, call):
    """How often it was told that the call has failed."""
    return sum(event["data"].get("reason") == "failed" for event in told_of(made, call))


def test_calls_of_a_killed_node_are_told_once_and_taken_again(made):
    with held_by(made, "a") as (call, a, b):
        a.kill()
        until(lambda: offered(b, call) == 201, 30)
        assert b.client.get(f"/v1/calls/{call['call_id']}").json()["node"] == "b"
        until(lambda: failures(made, call) == 1, 30)
        made.start("a", slots=2)
        until(lambda: state(made.nodes["a"], call) == "warming", 20)
        assert failures(made, call) == 1


def test_a_node_that_wakes_after_its_lease_has_no_calls_and_tells_nothing(made):
    with held_by(made, "a") as (call, a, b):
        a.signal(signal.SIGSTOP)
        until(lambda: offered(b, call) == 201, 40)
        a.signal(signal.SIGCONT)
        until(lambda: a.logged(LOST), 20)
        until(lambda: state(a, call) == state(b, call) == "warming", 20)
        assert a.client.get(f"/v1/calls/{call['call_id']}").json()["node"] == "b"
        assert failures(made, call) == 1


@contextmanager
def away(broker, how):
    """The broker is gone, or answers nothing."""
    if how == "killed":
        broker.kill()
    else:
        broker.signal(signal.SIGSTOP)
    try:
        yield
    finally:
        if how == "killed":
            broker.start()
        else:
            broker.signal(signal.SIGCONT)


def leased(node):
    """Whether the node's lease holds, as it says itself."""
    found = re.search(r"^guardian_fleet_lease_seconds (\S+)$", node.client.get("/metrics").text, re.M)
    return float(found[1]) > 0


@pytest.mark.parametrize("how", ["killed", "stopped"])
def test_calls_go_on_and_none_are_placed_while_the_broker_is_away(made, how):
    with held_by(made, "a") as (call, a, b):
        lost = a.logged(LOST)
        with away(made.broker, how):
            refused = until(lambda: (one := b.create()).status_code == 503 and one, 10)
            assert refused.headers["retry-after"]
            over = time.monotonic() + LEASE_S + 2
            held = [leased(a)]
            while time.monotonic() < over:
                held.append(leased(a))
                time.sleep(0.2)
            # A busy machine may renew late: what counts is that it renews at all.
            assert held.count(True) > len(held) / 2
            until(lambda: leased(a), 10)
            assert state(a, call) == "warming"
            assert offered(a, call) == 201
        until(lambda: a.ready() and b.ready(), 30)
        until(lambda: state(b, call) == "warming", 20)
        assert a.logged(LOST) == lost
        assert failures(made, call) == 0


def test_a_broker_that_forgot_everything_ends_no_call(made):
    with held_by(made, "a") as (call, a, b):
        made.broker.kill()
        made.broker.forget()
        made.broker.start()
        until(lambda: a.ready() and b.ready(), 30)
        until(lambda: state(b, call) == "warming", 20)
        assert failures(made, call) == 0


def test_a_node_that_ends_as_it_should_is_missed_by_nobody(made):
    with held_by(made, "a") as (call, a, b):
        a.stop()
        until(lambda: state(b, call) == "ended", 10)
        made.start("a", slots=2)
        assert failures(made, call) == 0


def test_events_of_a_call_that_is_taken_again_are_whole_and_in_order(made):
    with held_by(made, "a") as (call, a, b):
        complaint = f"/v1/calls/{call['call_id']}/complaint"
        assert a.client.post(complaint, json={"role": "shopper"}).status_code < 300
        a.kill()
        until(lambda: offered(b, call) == 201, 30)
        assert b.client.post(complaint, json={"role": "merchant"}).status_code < 300
        made.start("a", slots=2)
    over = ["failed", "ended by the call service"]
    events = until(lambda: reasons(told := told_of(made, call)) == over and told, 30, "the last event")
    assert len({event["id"] for event in events}) == len(events) >= 4
    assert [int(event["sequence"]) for event in events] == list(range(1, len(events) + 1))

"""A fleet among strangers, other versions, wrong clocks and nodes that leave: it goes on and says why."""

import asyncio
import json
import signal
import threading
import time

import nats
import pytest

from tests.chaos.fleet import LEASE_S, fleet, until


@pytest.fixture(scope="module")
def made(tmp_path_factory, need, postgres):
    """Two nodes with two slots each."""
    need("psycopg")
    with fleet(tmp_path_factory.mktemp("fleet"), need, postgres.made_store()) as made:
        a, b = made.launch("a", slots=2), made.launch("b", slots=2)
        made.settle(a, b)
        yield made


@pytest.fixture
def nodes(made):
    return made.nodes["a"], made.nodes["b"]


def by_hand(made, work):
    """Does something with the broker that no node does."""

    async def main():
        client = await nats.connect(made.broker.url)
        try:
            return await work(client)
        finally:
            await client.close()

    return asyncio.run(main())


def admitted(node, **fields):
    """A call; slots of calls that have ended are free a moment later."""
    return until(lambda: (one := node.create(**fields)).status_code == 201 and one.json(), 15)["call_id"]


def going_on(node, call_id):
    """Whether a node says that a call goes on."""
    answer = node.client.get(f"/v1/calls/{call_id}")
    return answer.status_code == 200 and answer.json()["ended_reason"] is None


def goes_on(*around):
    """Each node has a call admitted, answers for it and ends it."""
    for node in around:
        call_id = admitted(node)
        assert all(going_on(one, call_id) for one in around)
        assert node.client.delete(f"/v1/calls/{call_id}").status_code == 204


def test_what_strangers_put_into_the_queue_is_thrown_away(made, nodes):
    async def litter(client):
        head = {"id": "1", "call_id": "c", "to": "guardian.placed.nobody", "method": "POST"}
        for message in (b"", b"\xff\x00", b"[" * 50_000, b"{}\n", json.dumps(head).encode() + b"\n{}"):
            await client.jetstream().publish("guardian.place", message)
        for message in (
            b"",
            b"[" * 50_000,
            b'{"id": 1}\n',
            b'{"method": "GET", "path": "/", "headers": 7}\n',
        ):
            for subject in ("guardian.placed.nobody", "guardian.node.a.nobody"):
                await client.publish(subject, message)
        await client.flush()

    by_hand(made, litter)
    goes_on(*nodes)


def test_a_call_that_cannot_be_opened_is_refused_once_and_takes_no_slot(nodes):
    for node in nodes * 3:
        refused = until(lambda node=node: (one := node.create(mode="private")).status_code != 503 and one, 15)
        assert refused.status_code == 502
        assert refused.json()["detail"] == "planted"
    goes_on(*nodes)


def test_what_another_version_has_written_is_read_or_refused_in_a_sentence(made, nodes):
    a, b = nodes
    call_id = admitted(a)
    path = f"/v1/calls/{call_id}"

    async def newer(client):
        keys = await client.jetstream().key_value("guardian_nodes")
        entry = {"incarnation": "x", "state": "dancing", "slots": 9, "taken": 0, "version": "9.0", "also": {}}
        await keys.put("newer", json.dumps(entry).encode())
        calls = await client.jetstream().key_value("guardian_calls")
        record = json.loads((await calls.get(call_id)).value)
        record["since"] = 9
        record["spec"]["tone"] = "kind"
        await calls.put(call_id, json.dumps(record).encode())
        await calls.put("odd", json.dumps({**record, "state": "resting"}).encode())
        await calls.put("broken", b"[" * 50_000)

    by_hand(made, newer)
    for node in nodes:
        assert going_on(node, call_id)
        for name in ("odd", "broken"):
            refused = node.client.get(f"/v1/calls/{name}")
            assert refused.status_code == 503
            assert "version" in refused.json()["detail"]
    assert b.client.delete(path).status_code == 204
    goes_on(*nodes)


def test_a_clock_that_is_wrong_or_jumps_costs_nobody_a_call(nodes):
    a, b = nodes
    call_id = admitted(a)
    clock = b.folder / "clock"
    try:
        for wrong_s in (7200, -14400, 86400 * 400, 0):
            clock.write_text(str(wrong_s))
            end = time.monotonic() + LEASE_S / 2
            while time.monotonic() < end:
                for node in nodes:
                    assert going_on(node, call_id)
                time.sleep(0.1)
            goes_on(*nodes)
    finally:
        clock.unlink(missing_ok=True)
    for node in nodes:
        # The one of another version was lost, and only that.
        assert node.logged("a node of the fleet was lost") <= 1
        assert node.logged("this node lost its lease: its calls are others' now, and end here") == 0
    assert b.client.delete(f"/v1/calls/{call_id}").status_code == 204


def test_calls_that_come_while_a_node_leaves_are_all_answered(made, nodes):
    a, b = nodes
    c = made.start("c", slots=2)
    staying = {admitted(c) for _ in range(6)}
    theirs = {one for one in staying if a.client.get(f"/v1/calls/{one}").json()["node"] == "c"}
    assert len(theirs) == 2
    for call_id in sorted(staying - theirs)[:2]:
        assert a.client.delete(f"/v1/calls/{call_id}").status_code == 204
        staying.discard(call_id)
    answers, stop = [], threading.Event()

    def ask():
        while not stop.is_set():
            answers.append(a.create())
            if answers[-1].status_code == 201:
                assert b.client.delete(f"/v1/calls/{answers[-1].json()['call_id']}").status_code == 204

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        c.process.send_signal(signal.SIGTERM)
        c.process.wait(40)
    finally:
        stop.set()
        asking.join(40)
    assert c.process.returncode == 0
    assert {one.status_code for one in answers} <= {201, 503}
    assert all("retry-after" in one.headers for one in answers if one.status_code == 503)
    for call_id in theirs:
        status = a.client.get(f"/v1/calls/{call_id}").json()
        assert (status["state"], status["ended_reason"]) == ("ended", "draining")
    for call_id in staying - theirs:
        assert going_on(a, call_id)
        assert a.client.delete(f"/v1/calls/{call_id}").status_code == 204

    def left():
        told = [one for node in (a, b, c) for one in node.events() if ".call.left." in one["type"]]
        return [one["source"].rpartition("/")[2] for one in told if one["data"].get("role") is None]

    until(lambda: staying <= set(left()), 20, "what became of the calls")
    assert sorted(one for one in left() if one in staying) == sorted(staying)
    goes_on(a, b)

"""Parts of a node on their own: nothing a broker, a store or another node does may stop them."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest

from guardian.core.dispatch import Asked
from guardian.core.errors import HostFull, Unavailable
from guardian.core.nodes import Node, NodeState
from guardian.fleet.broker import Broker, BrokerTarget, NobodyThere, Terms
from guardian.fleet.registry import Beside
from guardian.fleet.tasks import ended, until_one_ends
from guardian.fleet.wire import Garbled, answered_from, node_from, parted, record_from
from guardian.fleet_dispatch import NodeSlots
from guardian.web.forwarding import ANSWER_BYTES, answer_here
from tests import servers


class Host:
    """Has slots."""

    def __init__(self, slots):
        self.slots = slots
        self.taken = set()

    def capacity(self):
        return len(self.taken), self.slots

    def reserve(self, call_id):
        if call_id not in self.taken and len(self.taken) >= self.slots:
            raise HostFull("full", 1)
        self.taken.add(call_id)

    def release(self, call_id):
        self.taken.discard(call_id)


@pytest.fixture
def broker(need):
    with servers.nats(Path(need("nats-server"))) as server:
        yield Broker(BrokerTarget(server.url), Terms(), lambda there: None)


def test_a_slot_that_two_hold_is_free_when_both_have_given_it_back():
    host = Host(1)
    slots = NodeSlots(host, lambda: True)
    assert slots.reserve("one")
    assert slots.reserve("one")
    assert not slots.reserve("other")
    slots.give_back("one")
    assert not slots.reserve("other")
    slots.give_back("one")
    assert slots.reserve("other")


@pytest.mark.parametrize("message", [b"[" * 100_000, b"nothing", b"[1]\n", b"\xff\n"])
def test_what_nobody_can_have_written_is_garbled(message):
    with pytest.raises(Garbled):
        parted(message)
    with pytest.raises(Garbled):
        record_from(message)
    assert node_from("n", message) == Node("n", "", NodeState.UNREADY)


def test_numbers_without_end_are_garbled():
    with pytest.raises(Garbled):
        answered_from({"status": float("inf"), "headers": []}, b"")


def test_an_answer_that_is_too_long_is_refused_in_a_sentence():
    async def endless(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(4):
            await send({"type": "http.response.body", "body": bytes(ANSWER_BYTES // 3), "more_body": True})

    with pytest.raises(Unavailable, match="too long"):
        asyncio.run(answer_here(endless, Asked("GET", "/v1/calls/c", ())))


def test_a_store_that_hangs_is_not_waited_for_nor_asked_again_meanwhile():
    asked, go_on = [], threading.Event()

    def ask(name, incarnation, lease_s):
        asked.append(name)
        return go_on.wait(20)

    async def main():
        beside = Beside(0.05)
        me = Node("a", "1", NodeState.READY)
        for _ in range(3):
            with pytest.raises(Unavailable):
                await beside(ask, me, 6.0)
        go_on.set()
        async with asyncio.timeout(20):
            while True:
                try:
                    return await beside(ask, me, 6.0)
                except Unavailable:
                    await asyncio.sleep(0.01)

    assert asyncio.run(main())
    assert len(asked) <= 2


def test_a_cancellation_that_comes_with_an_error_ends_the_node(broker):
    async def main():
        there, lost = asyncio.Event(), []

        async def serve(session):
            there.set()
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                if lost:
                    raise
                # As the client of NATS does when its connection is closed in this moment.
                lost.append(True)
                raise Unavailable("gone") from None

        async with asyncio.timeout(20), asyncio.TaskGroup() as tasks:
            task = tasks.create_task(broker.run(serve))
            await there.wait()
            await ended([task])
        assert lost
        assert task.cancelled()

    asyncio.run(main())


def test_nobody_there_is_told_apart_from_somebody_who_may_have_heard(broker):
    async def main():
        answers, over = [], asyncio.Event()

        async def serve(session):
            with pytest.raises(NobodyThere):
                await session.request("guardian.nobody", b"", 1.0)

            async def hear(message):
                answers.append(message.data)

            await session.listen("guardian.silent", hear)
            with pytest.raises(Unavailable) as silent:
                await session.request("guardian.silent", b"x", 0.2)
            answers.append(silent.type)
            over.set()

        async with asyncio.timeout(20), asyncio.TaskGroup() as tasks:
            task = tasks.create_task(broker.run(serve))
            await over.wait()
            await ended([task])
        assert answers[:2] == [b"x", Unavailable]

    asyncio.run(main())


class Failed(Exception):
    """One of them has failed."""


def test_what_is_done_together_ends_though_one_loses_its_cancellation():
    async def main():
        lost = []

        async def busy():
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                lost.append(True)
            await asyncio.sleep(60)

        async def fails():
            await asyncio.sleep(0.01)
            raise Failed

        async with asyncio.timeout(20):
            with pytest.raises(BaseExceptionGroup) as failed:
                await until_one_ends(busy(), fails())
        assert failed.group_contains(Failed)
        assert lost == [True]

        # Whoever waits for them is cancelled, and goes when they have ended.
        lost.clear()
        async with asyncio.timeout(20), asyncio.TaskGroup() as tasks:
            waiting = tasks.create_task(until_one_ends(busy(), busy()))
            await asyncio.sleep(0.01)
            await ended([waiting])
        assert waiting.cancelled()
        assert lost == [True, True]

    asyncio.run(main())

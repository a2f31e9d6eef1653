"""Nodes of several versions at one broker, one that forgot who has calls, requests that nobody survives."""

import asyncio
import json
import logging
import secrets
import shutil
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from guardian.core.call_records import CallRecord, CallState
from guardian.core.calls import CallSpec
from guardian.core.dispatch import Answered, Asked
from guardian.core.errors import HostFull, Unavailable
from guardian.core.nodes import MARGIN, Node, NodeState
from guardian.fleet.broker import Broker, BrokerTarget, Changed, Terms
from guardian.fleet.call_book import CallBook, Unreadable
from guardian.fleet.placement import Host, Placement
from guardian.fleet.registry import Hooks, Registry
from guardian.fleet.tasks import until_one_ends
from guardian.fleet.wire import joined, lost, node_from, node_to_bytes, record_to_bytes
from guardian.fleet_dispatch import refusal
from guardian.fleet_sweep import Sweep
from guardian.store.database import StoreConfig
from guardian.store.leases import NodeLeases
from guardian.store.upgrade import open_store
from tests import servers

pytestmark = pytest.mark.timeout(120)
TERMS = Terms(lease_s=1.5, renew_s=0.2, place_s=2.0)
ASKED = Asked("POST", "/v1/calls", (("authorization", "Bearer k"),), b"{}")


class Died(Exception):
    """The node is gone from here on, without a word."""


@dataclass
class Member:
    """A node without a server. fatal: where it dies when it is given a call."""

    name: str
    slots: int = 1
    fatal: str = ""
    taken: set[str] = field(default_factory=set)
    given: list[str] = field(default_factory=list)
    answered: list[str] = field(default_factory=list)

    def about(self):
        return Node(self.name, self.registry.incarnation, NodeState.READY, self.slots, len(self.taken))

    def reserve(self, call_id):
        self.given.append(call_id)
        if self.fatal == "given":
            raise Died
        self.taken.add(call_id)
        return True

    async def answer(self, call_id, asked):
        self.answered.append(call_id)
        if self.fatal == "answering":
            raise Died
        return Answered(201, (), call_id.encode())

    async def anew(self):
        self.taken.clear()

    def join(self, target, leases):
        self.leases = leases
        self.broker = Broker(target, TERMS, lambda _: None)
        hooks = Hooks(self.about, lambda _: None, self.anew, lambda _: None, lambda: None)
        self.registry = Registry(self.broker, TERMS, hooks, leases)
        room = Host(
            self.name,
            lambda: len(self.taken) < self.slots,
            self.reserve,
            self.taken.discard,
            self.answer,
            refusal,
        )
        self.placement = Placement(self.broker, self.registry, room, TERMS.place_s, 5.0)

    async def run(self):
        """Until it dies or is cancelled."""
        with suppress(BaseExceptionGroup):
            async with asyncio.TaskGroup() as tasks:

                async def serve(session):
                    await until_one_ends(self.registry.watch(session), self.placement.serve(session, tasks))

                tasks.create_task(self.broker.run(serve))
                tasks.create_task(self.registry.keep())
                tasks.create_task(self.registry.look())


async def until(true):
    async with asyncio.timeout(30):
        while not true():  # noqa: ASYNC110 - what is waited for sets no event
            await asyncio.sleep(0.02)


@pytest.fixture(scope="module")
def nats(need):
    with servers.nats(Path(need("nats-server"))) as broker:
        yield broker


@pytest.fixture
def meet(nats, tmp_path, made_store):
    """meet(members...): a fleet of its own with these in it, while inside."""
    shutil.copy(made_store, tmp_path / "guardian.db")
    database = open_store(StoreConfig(tmp_path / "guardian.db"))
    target = BrokerTarget(nats.url, f"f{secrets.token_hex(4)}")

    @asynccontextmanager
    async def together(*members):
        async with asyncio.TaskGroup() as tasks:
            for one in members:
                one.join(target, NodeLeases(database))
            running = [tasks.create_task(one.run()) for one in members]
            everybody = {one.name for one in members}
            for one in members:
                seen = one.registry.sightings
                await until(lambda seen=seen: everybody == {node.name for node in seen.nodes()})
            yield
            for one in running:
                one.cancel()

    yield together
    database.close()


def test_a_request_that_no_node_survives_is_refused_and_forgotten(meet):
    async def scenario():
        asks = Member("asks", slots=0)
        fatal = [Member(f"n{number}", fatal="given") for number in range(4)]
        async with meet(asks, *fatal):
            with pytest.raises(HostFull, match="free slot"):
                await asks.placement.place("poison", ASKED)
            given = [call for one in fatal for call in one.given]
            # As often as the queue delivers anything, and by as many nodes.
            assert given == ["poison"] * len(given)
            assert 1 <= len(given) <= 3
            survivor = next(one for one in fatal if not one.given)
            survivor.fatal = ""
            assert (await asks.placement.place("good", ASKED)).body == b"good"
            assert survivor.answered == ["good"]

    asyncio.run(scenario())


def test_a_call_whose_opening_kills_its_node_is_answered_once_and_opened_once(meet):
    async def scenario():
        asks = Member("asks", slots=0)
        fatal = [Member(f"n{number}", fatal="answering") for number in range(3)]
        async with meet(asks, *fatal):
            with pytest.raises(Unavailable, match="another call_id"):
                await asks.placement.place("poison", ASKED)
            assert sum(len(one.answered) for one in fatal) == 1

    asyncio.run(scenario())


def test_a_node_that_was_fenced_asks_again_though_others_say_much_in_that_moment(meet):
    async def scenario():
        asks, talks = Member("asks", slots=0), Member("talks", slots=100)
        async with meet(asks, talks), asyncio.timeout(60):

            async def talk():
                while True:
                    talks.registry.poke()
                    await asyncio.sleep(0.005)

            async def fence(incarnation):
                while asks.registry.incarnation == incarnation:
                    with suppress(Unavailable, Changed):
                        nodes = asks.broker.session.nodes
                        entry = await nodes.get("asks")
                        value = node_to_bytes(lost(node_from("asks", entry.value)))
                        await nodes.update("asks", value, entry.revision)
                    await asyncio.sleep(0.05)

            async with asyncio.TaskGroup() as tasks:
                talking = tasks.create_task(talk())
                for number in range(5):
                    await fence(asks.registry.incarnation)
                    answered = None
                    while answered is None:
                        # It may be asked between two connections.
                        with suppress(Unavailable, HostFull):
                            answered = await asks.placement.place(f"call-{number}", ASKED)
                        await asyncio.sleep(0.05)
                talking.cancel()

    asyncio.run(scenario())


REQUEST = {"id": "i", "call_id": "c", "to": "t", "method": "POST", "path": "/", "scheme": "http"}
STRANGE = [
    b"",
    b"\xff\xfe",
    b"[]\n",
    b"[" * 100_000,
    b"{}\n",
    joined({**REQUEST, "headers": 7, "client": ""}),
    joined({**REQUEST, "headers": [["a", "\u8d85"]], "client": ""}),
    joined({**REQUEST, "headers": [], "client": "", "to": "a b\r\nPUB"}),
    joined({**REQUEST, "headers": [], "client": "", "call_id": "\ud800"}),
    joined({"schema": 9, "request": {"verb": "POST"}}),
]


def test_no_slot_is_held_for_a_request_whose_connection_was_lost(meet):
    async def scenario():
        taker = Member("takes")
        async with meet(taker):
            session, asked = taker.broker.session, asyncio.Event()

            async def silent(_):
                asked.set()

            await session.listen("silent", silent)
            await session.enqueue(joined({**REQUEST, "headers": [], "client": "", "to": "silent"}), "i")
            await asked.wait()
            assert taker.taken == {"c"}
            await session.client.close()
            await until(lambda: not taker.taken)

    asyncio.run(scenario())


def test_what_cannot_be_read_is_skipped_with_a_line_and_stops_nothing(meet, caplog):
    async def scenario():
        asks, takes = Member("asks", slots=0), Member("takes", slots=2)
        async with meet(asks, takes):
            for number, message in enumerate(STRANGE):
                await asks.broker.session.enqueue(message, f"strange-{number}")
            # One that can be read, but for which nobody waits.
            lone = joined({**REQUEST, "headers": [], "client": "", "to": "nobody"})
            await asks.broker.session.enqueue(lone, "lone")
            assert (await asks.placement.place("good", ASKED)).status == 201
            assert takes.answered == ["good"]

    with caplog.at_level(logging.WARNING, "guardian.fleet"):
        asyncio.run(scenario())
    told = [one for one in caplog.records if "is no request" in one.getMessage()]
    assert len(told) == len(STRANGE)


def test_a_request_with_more_in_it_than_is_known_here_is_done(meet):
    async def scenario():
        takes = Member("takes")
        async with meet(takes):
            answers: asyncio.Queue[bytes] = asyncio.Queue()

            async def hear(message):
                if message.reply:
                    await message.respond(b"go")
                else:
                    answers.put_nowait(message.data)

            session = takes.broker.session
            await session.listen("newer", hear)
            more = {**REQUEST, "to": "newer", "headers": [], "client": "", "zone": "north"}
            await session.enqueue(joined(more), "more")
            async with asyncio.timeout(20):
                assert json.loads((await answers.get()).partition(b"\n")[0])["status"] == 201

    asyncio.run(scenario())


def test_a_node_of_a_newer_version_keeps_its_calls_while_it_renews(meet):
    async def scenario():
        here = Member("here")
        async with meet(here):
            registry, nodes = here.registry, here.broker.session.nodes
            newer = json.dumps({"incarnation": "i", "state": "resting", "weather": "fine"}).encode()
            revision = await nodes.create("newer", newer)
            async with asyncio.timeout(30):
                while registry.sightings.get("newer") is None:
                    await registry.changed()
            for _ in range(int(2 * TERMS.lease_s / 0.2)):
                revision = await nodes.update("newer", newer, revision)
                await asyncio.sleep(0.2)
                assert registry.may_live("newer", "i")
                assert not await registry.over("newer", "i")
            assert registry.fenced == 0
            await until(lambda: not registry.may_live("newer", "i"))
            fenced = await nodes.get("newer")
            assert node_from("newer", fenced.value) == Node("newer", "i", NodeState.LOST)

    asyncio.run(scenario())


def test_a_broker_that_forgot_a_node_has_heard_of_it_before_its_calls_are_told_to_have_failed(meet):
    async def scenario():
        here, told = Member("here"), []
        async with meet(here):
            book, registry = CallBook(here.broker), here.registry
            # As of a node that is about to say that it lives: its records may come first.
            await book.create(CallRecord(CallSpec("c", "t", {}), {}, {}, "late", "i", 0.0))
            sweep = Sweep(registry, book, told.append, 60.0)
            async with asyncio.TaskGroup() as tasks:
                sweeping = tasks.create_task(sweep.run())
                for _ in range(int(1.5 * TERMS.lease_s * MARGIN / 0.1)):
                    sweep.poke()
                    await asyncio.sleep(0.1)
                    here.leases.renew("late", "i", TERMS.lease_s)
                    assert not told
                    assert (await book.get("c")).record.state is CallState.OPEN
                async with asyncio.timeout(30):
                    while not told:
                        sweep.poke()
                        await asyncio.sleep(0.1)
                sweeping.cancel()
            assert [one.state for one in told] == [CallState.FAILED]
            fenced = await here.broker.session.nodes.get("late")
            assert not node_from("late", fenced.value).lives
            assert not here.leases.renew("late", "i", TERMS.lease_s)

    asyncio.run(scenario())


def test_a_record_that_this_version_must_not_act_on_hides_no_other(meet):
    async def scenario():
        here = Member("here")
        async with meet(here):
            book, keys = CallBook(here.broker), here.broker.session.calls
            known = CallRecord(CallSpec("known", "t", {}), {}, {}, "n", "i", 0.0)
            await book.create(known)
            newer = {**json.loads(record_to_bytes(known)), "schema": 2}
            await keys.create("newer", json.dumps(newer).encode())
            await keys.create("strange", b"[" * 100_000)
            with pytest.raises(Unreadable):
                await book.get("newer")
            with pytest.raises(Unreadable):
                await book.change("newer", lambda record: record.ended(1.0, "over"))
            assert [one async for one in book.all()] == [known]

    asyncio.run(scenario())

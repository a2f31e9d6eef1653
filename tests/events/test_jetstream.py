"""Events in a stream of a real NATS server: once each, in order, also when the server is killed."""

import asyncio
import json
import time
from dataclasses import replace
from pathlib import Path

import nats
import pytest

from guardian.core.clock import SteadyClock
from guardian.core.delivery import About, Due, Route
from guardian.events.delivery import DeliveryFailed, Schedule
from guardian.events.jetstream import JetStreamSink, JetStreamTarget
from guardian.events.pump import Pace, Pump
from guardian.settings import Settings
from guardian.store.database import StoreConfig
from guardian.store.outbox import Entry, Outbox
from guardian.store.upgrade import open_store
from tests import servers
from tests.fakes.host import FakeHost
from tests.web.conftest import running


@pytest.fixture
def server(need):
    with servers.nats(Path(need("nats-server"))) as running:
        yield running


def target(server, **more):
    given = JetStreamTarget("fleet", server.url, "guardian.events", "GUARDIAN", allow_private=True)
    return replace(given, **more)


def due(number, call_id="c"):
    body = json.dumps({"id": f"{call_id}-{number}", "text": "微信"}).encode()
    return Due(f"{call_id}-{number}", call_id, number, "violation.detected", body, 0)


async def stored(server, count):
    """The messages of the stream in order."""
    client = await nats.connect(server.url, connect_timeout=5)
    try:
        stream = client.jetstream()
        info = await stream.stream_info("GUARDIAN")
        assert info.state.messages == count
        return [await stream.get_msg("GUARDIAN", seq=number + 1) for number in range(count)]
    finally:
        await client.close()


def test_an_event_lies_in_the_stream_once_however_often_it_is_sent(server):
    async def main():
        sink = JetStreamSink(target(server))
        for number in (1, 2, 1, 2, 3):
            await sink.deliver(due(number))
        await sink.close()
        return await stored(server, 3)

    messages = asyncio.run(main())
    assert [json.loads(message.data)["id"] for message in messages] == ["c-1", "c-2", "c-3"]
    assert {message.subject for message in messages} == {"guardian.events.violation.detected"}
    assert messages[0].headers["Content-Type"] == "application/cloudevents+json"


def test_a_server_that_is_killed_gets_what_it_missed_in_order(server, tmp_path):
    database = open_store(StoreConfig(tmp_path / "guardian.db"))
    outbox = Outbox(database, [Route("fleet")])

    def entry(call_id):
        return Entry(
            call_id,
            0.0,
            lambda sequence: (due(sequence, call_id).event_id, due(sequence, call_id).body),
            About(type="violation.detected"),
        )

    async def main():
        outcomes, told = [], asyncio.Event()

        def hear(_, outcome):
            outcomes.append(outcome)
            told.set()

        async def until(outcome, count):
            async with asyncio.timeout(60):
                while outcomes.count(outcome) < count:
                    told.clear()
                    await told.wait()

        sink = JetStreamSink(target(server))
        pump = Pump(outbox, [sink], hear, Pace(SteadyClock(), Schedule((0.05,) * 1000)))
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(pump.run())
            await asyncio.to_thread(outbox.append, [entry("c"), entry("d"), entry("c")])
            pump.wake()
            await until("delivered", 3)
            await asyncio.to_thread(server.kill)
            await asyncio.to_thread(outbox.append, [entry("c"), entry("d"), entry("c")])
            pump.wake()
            await until("failed", 2)
            await asyncio.to_thread(server.start)
            await until("delivered", 6)
            running.cancel()
        await sink.close()
        return [json.loads(message.data)["id"] for message in await stored(server, 6)]

    found = asyncio.run(main())
    database.close()
    for call_id, count in (("c", 4), ("d", 2)):
        assert [name for name in found if name.startswith(call_id)] == [
            f"{call_id}-{number + 1}" for number in range(count)
        ]


def test_what_cannot_be_is_told(server):
    async def main():
        private = JetStreamSink(target(server, allow_private=False))
        with pytest.raises(DeliveryFailed, match="private"):
            await private.deliver(due(1))
        nobody = JetStreamSink(target(server, url=f"nats://127.0.0.1:{servers.free_port()}"))
        with pytest.raises(DeliveryFailed):
            await nobody.deliver(due(1))

    asyncio.run(main())


def test_a_server_sends_there_by_its_settings(server, tmp_path):
    endpoint = {"name": "fleet", "url": server.url, "allow_private": True, "types": ["complaint.*"]}
    settings = Settings(
        data_dir=str(tmp_path / "data"), server={"port": 0}, events={"nats": [endpoint], "file": ""}
    )
    with running(settings, FakeHost()) as site:
        body = {"call_id": "c", "shopper": {"id": "u"}, "merchant": {"id": "m"}, "consent": {"token": "t"}}
        assert site.client.post("/v1/calls", json=body).status_code == 201
        event_id = site.client.post("/v1/calls/c/complaint").json()["event_id"]
        deadline = time.monotonic() + 30
        while 'outcome="delivered",sink="fleet"} 1.0' not in site.client.get("/metrics").text:
            assert time.monotonic() < deadline
            time.sleep(0.05)
    (message,) = asyncio.run(stored(server, 1))
    assert message.subject == "guardian.events.complaint.received"
    assert message.headers["Nats-Msg-Id"] == event_id
    assert json.loads(message.data)["id"] == event_id

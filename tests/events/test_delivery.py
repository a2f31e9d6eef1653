import asyncio
import base64
import errno
import json
import os
import resource
import socket
import threading
import time
from contextlib import asynccontextmanager

import pytest

from guardian.core.clock import SteadyClock
from guardian.core.delivery import DeadFilter, Due, Route
from guardian.core.errors import ConfigError, StoreFault, Unavailable
from guardian.events.delivery import DeliveryFailed, Schedule
from guardian.events.pump import Pace, Pump
from guardian.events.sinks import FileSink, WebhookSink, WebhookTarget
from guardian.store.database import StoreConfig
from guardian.store.dead_letters import DeadLetters
from guardian.store.outbox import Entry, Outbox
from guardian.store.upgrade import open_store
from tests.events.receiver import receiving

SECRET = "whsec_" + base64.b64encode(b"k" * 32).decode()
OLD = "whsec_" + base64.b64encode(b"o" * 32).decode()


def entries(count, call_id="c"):
    def seal(sequence):
        event_id = f"{call_id}-{sequence}"
        return event_id, json.dumps({"id": event_id, "text": "微信"}).encode()

    return [Entry(call_id, 0.0, seal)] * count


def event(event_id="c-1", body=b"{}"):
    return Due(event_id, "c", 1, "call.joined", body, 0)


def at_once():
    return Pace(SteadyClock(), Schedule((0.001,) * 1000))


@pytest.fixture
def store(tmp_path):
    database = open_store(StoreConfig(tmp_path / "guardian.db"))
    yield database
    database.close()


@pytest.fixture
def outbox(store):
    return Outbox(store, [Route("hook")])


def hook(url, *secrets, allow_private=True):
    return WebhookSink(WebhookTarget("hook", url, secrets or (SECRET,), allow_private))


@asynccontextmanager
async def pumping(outbox, sink):
    outcomes, told = [], asyncio.Event()

    def hear(_, outcome):
        outcomes.append(outcome)
        told.set()

    async def until(outcome, count):
        async with asyncio.timeout(20):
            while outcomes.count(outcome) < count:
                told.clear()
                await told.wait()

    pump = Pump(outbox, [sink], hear, at_once())
    pump.until = until
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(pump.run())
        yield pump
        running.cancel()
    await sink.close()


def test_a_receiver_that_fails_first_gets_every_event_in_order(outbox):
    async def main():
        answers = ["500 No", "503 No", "204 Yes", "302 Elsewhere\r\nLocation: http://127.0.0.1:1/"]
        async with receiving(SECRET, answers) as receiver:
            outbox.append(entries(4))
            async with pumping(outbox, hook(receiver.url)) as pump:
                await pump.until("delivered", 4)
            return receiver

    receiver = asyncio.run(main())
    assert [event["id"] for event in receiver.taken] == ["c-1", "c-2", "c-3", "c-4"]
    assert receiver.tries == ["c-1", "c-1", "c-1", "c-2", "c-2", "c-3", "c-4"]


def test_a_new_event_leaves_at_once(outbox):
    async def main():
        async with receiving(SECRET) as receiver, pumping(outbox, hook(receiver.url)) as pump:
            for count in range(1, 4):
                await asyncio.to_thread(outbox.append, entries(1, f"call{count}"))
                pump.wake()
                await pump.until("delivered", count)

    asyncio.run(main())


def test_delivery_goes_on_after_a_restart(tmp_path):
    async def deliver(answers, outcome, count):
        database = open_store(StoreConfig(tmp_path / "guardian.db"))
        outbox = Outbox(database, [Route("hook")])
        async with receiving(SECRET, answers) as receiver:
            if not outbox.of_call("c", 0, 1):
                outbox.append(entries(3))
            async with pumping(outbox, hook(receiver.url)) as pump:
                await pump.until(outcome, count)
        database.close()
        return [event["id"] for event in receiver.taken]

    first = asyncio.run(deliver(["204 Yes"] + ["500 No"] * 1000, "failed", 2))
    second = asyncio.run(deliver([], "delivered", 2))
    assert first == ["c-1"]
    assert second == ["c-2", "c-3"]


def test_what_was_delivered_is_not_sent_again_while_the_disk_is_full(outbox, monkeypatch):
    monkeypatch.setattr("guardian.events.pump._DISK_S", 0.001)
    outbox.append(entries(2))
    refusals = [Unavailable("full")] * 5
    record = outbox.record

    def full_at_first(outcomes):
        if refusals:
            raise refusals.pop()
        record(outcomes)

    monkeypatch.setattr(outbox, "record", full_at_first)

    async def main():
        async with receiving(SECRET) as receiver, pumping(outbox, hook(receiver.url)) as pump:
            await pump.until("delivered", 2)
            return receiver.tries

    assert asyncio.run(main()) == ["c-1", "c-2"]
    assert not refusals


def test_rows_that_cannot_be_read_or_written_hold_nobody_else_up(outbox, monkeypatch):
    monkeypatch.setattr("guardian.events.pump._LOOK_S", 0.01)
    outbox.append([*entries(2), *entries(1, "odd")])
    faults, record, look = [ValueError("no such state"), StoreFault("odd")], outbox.record, outbox.look

    def records_no_odd_one(outcomes):
        if any(one.call_id == "odd" for one in outcomes):
            raise TypeError("odd")
        record(outcomes)

    def looks_the_third_time(*given):
        if faults:
            raise faults.pop()
        return look(*given)

    monkeypatch.setattr(outbox, "record", records_no_odd_one)
    monkeypatch.setattr(outbox, "look", looks_the_third_time)

    async def main():
        async with receiving(SECRET) as receiver, pumping(outbox, hook(receiver.url)) as pump:
            await pump.until("delivered", 2)
            return receiver.tries

    tries = asyncio.run(main())
    assert [name for name in tries if name.startswith("c")] == ["c-1", "c-2"]


def test_what_ends_while_the_store_is_read_is_not_sent_again(outbox, monkeypatch):
    outbox.append(entries(1))
    looked, marked, tries = threading.Event(), threading.Event(), []
    look = outbox.look

    def slow_look(sink, now, limit):
        found = look(sink, now, limit)
        if tries and not looked.is_set():
            looked.set()
            assert marked.wait(10)
        return found

    monkeypatch.setattr(outbox, "look", slow_look)

    class Slow:
        name, timeout_s = "hook", 10.0

        async def deliver(self, event):
            tries.append(event.event_id)
            self.pump.wake()
            await asyncio.to_thread(looked.wait, 10)

    async def main():
        both = asyncio.Event()

        def hear(sink, outcome):
            if marked.is_set():
                both.set()
            marked.set()

        slow = Slow()
        pump = slow.pump = Pump(outbox, [slow], hear, at_once())
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(pump.run())
            await asyncio.to_thread(marked.wait, 10)
            await asyncio.to_thread(outbox.append, entries(1))
            pump.wake()
            async with asyncio.timeout(10):
                await both.wait()
            running.cancel()

    asyncio.run(main())
    assert tries == ["c-1", "c-2"]


def test_one_call_that_is_refused_does_not_hold_up_another(outbox):
    async def main():
        async with receiving(SECRET, ["422 No"] * 3) as receiver:
            outbox.append(entries(2))
            async with pumping(outbox, hook(receiver.url)) as pump:
                await pump.until("delivered", 1)
            return receiver

    receiver = asyncio.run(main())
    assert [event["id"] for event in receiver.taken] == ["c-2"]
    assert outbox.pending() == {("hook", "dead"): 1}


def test_both_keys_verify_while_rotating(outbox):
    async def main(secret):
        async with receiving(secret) as receiver:
            sink = hook(receiver.url, SECRET, OLD)
            await sink.deliver(event(body=b'{"id": "c-1"}'))
            await sink.close()
            return receiver.taken

    for secret in (SECRET, OLD):
        assert asyncio.run(main(secret)) == [{"id": "c-1"}]


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "localhost",
        "10.0.0.1",
        "169.254.169.254",
        "0.0.0.0",
        "[::1]",
        "[::ffff:10.0.0.1]",
        "[fd00::1]",
    ],
)
def test_private_addresses_are_refused(host):
    async def main():
        sink = hook(f"https://{host}/x", allow_private=False)
        try:
            with pytest.raises(DeliveryFailed, match="private"):
                await sink.deliver(event())
        finally:
            await sink.close()

    asyncio.run(main())


def test_a_secret_that_is_none_is_named():
    with pytest.raises(ConfigError, match="hook"):
        hook("https://example.com", "whsec_")


def test_the_schedule_is_quick_at_first_and_ends_after_three_days():
    waits, schedule = [], Schedule()
    while (wait := schedule.wait_before(len(waits) + 1)) is not None:
        waits.append(wait)
    assert sum(waits[:3]) < 60
    assert 2.5 * 86400 < sum(schedule.waits) < 4 * 86400
    assert schedule.wait_before(3, DeliveryFailed("no", permanent="HTTP 404")) is None
    assert schedule.wait_before(1, DeliveryFailed("later", retry_after=600.0)) == 600.0


def test_a_receiver_that_is_gone_is_left_alone_until_it_is_enabled(store, outbox):
    async def main():
        async with receiving(SECRET, ["204 Yes", "410 Gone"]) as receiver:
            outbox.append([*entries(3), *entries(1, "d")])
            async with pumping(outbox, hook(receiver.url)) as pump:
                await pump.until("disabled", 1)
                await pump.until("delivered", len(receiver.taken))
                outbox.append(entries(1, "e"))
                pump.wake()
                before = len(receiver.tries)
                letters = DeadLetters(store, [Route("hook")])
                (state,) = letters.endpoints()
                assert state.disabled_at is not None
                assert "410" in state.reason
                assert state.dead == 0
                assert letters.enable("hook")
                pump.wake()
                await pump.until("delivered", 5)
            assert before <= 5
            return receiver.taken

    taken = [event["id"] for event in asyncio.run(main())]
    assert sorted(taken) == ["c-1", "c-2", "c-3", "d-1", "e-1"]
    assert [name for name in taken if name.startswith("c")] == ["c-1", "c-2", "c-3"]


def test_dead_letters_are_delivered_anew_when_somebody_asks(store, outbox):
    letters = DeadLetters(store, [Route("hook")])

    async def main():
        async with receiving(SECRET, ["404 No"] * 3) as receiver:
            outbox.append(entries(2))
            async with pumping(outbox, hook(receiver.url)) as pump:
                await pump.until("delivered", 1)
                (letter,) = letters.found(DeadFilter(call_id="c"), 9)
                assert (letter.event_id, letter.attempts, letter.error) == ("c-1", 3, "hook: HTTP 404")
                assert letters.count(DeadFilter(endpoint="other")) == 0
                assert letters.replay(DeadFilter(event_ids=("c-2",)), time.time()) == 0
                assert letters.replay(DeadFilter(endpoint="hook"), time.time()) == 1
                pump.wake()
                await pump.until("delivered", 2)
            return [event["id"] for event in receiver.taken]

    assert asyncio.run(main()) == ["c-2", "c-1"]
    assert letters.count(DeadFilter()) == 0


def test_the_file_has_one_line_per_event_also_after_a_torn_one(tmp_path):
    path = tmp_path / "events.jsonl"
    path.write_bytes(b'{"torn')
    sink = FileSink(path)

    async def main():
        await sink.deliver(event(body='{"a": "微信"}'.encode()))
        await sink.deliver(event(body=b'{"b": 2}'))

    asyncio.run(main())
    lines = path.read_bytes().decode().splitlines()
    assert [json.loads(line) for line in lines[1:]] == [{"a": "微信"}, {"b": 2}]


def test_a_full_disk_leaves_no_half_line_in_the_file(tmp_path):
    path = tmp_path / "events.jsonl"
    sink = FileSink(path)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    async def main():
        await sink.deliver(event(body=b'{"a": 1}'))
        resource.setrlimit(resource.RLIMIT_FSIZE, (15, before[1]))
        try:
            with pytest.raises(DeliveryFailed):
                await sink.deliver(event(body=b'{"b": 2}'))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        await sink.deliver(event(body=b'{"b": 2}'))

    asyncio.run(main())
    assert [json.loads(line) for line in path.read_text().splitlines()] == [{"a": 1}, {"b": 2}]


def test_a_line_that_is_taken_back_takes_no_other_with_it(tmp_path, monkeypatch):
    path = tmp_path / "events.jsonl"
    sink = FileSink(path)
    synced, others, fsync = [], threading.Event(), os.fsync

    def full_at_first(handle):
        synced.append(handle)
        if len(synced) == 1:
            # As long as another may take to write its line meanwhile, if it is let.
            others.wait(0.5)
            raise OSError(errno.ENOSPC, "No space left on device")
        fsync(handle)
        others.set()

    monkeypatch.setattr("guardian.events.sinks.os.fsync", full_at_first)

    delivered, refused = set(), []

    async def deliver(number):
        try:
            await sink.deliver(event(body=b'{"a": %d}' % number))
            delivered.add(number)
        except DeliveryFailed:
            refused.append(number)

    async def main():
        async with asyncio.TaskGroup() as tasks:
            for number in range(4):
                tasks.create_task(deliver(number))

    asyncio.run(main())
    assert len(refused) == 1
    assert {json.loads(line)["a"] for line in path.read_text().splitlines()} == delivered


@asynccontextmanager
async def many_tries(sink):
    """More of them at once than a loop has threads; none of them ends in here."""
    async with asyncio.TaskGroup() as tasks:
        trying = [tasks.create_task(sink.deliver(event(f"c-{number}"))) for number in range(40)]
        yield
        for one in trying:
            one.cancel()


@pytest.mark.parametrize("what", ["disk", "names"])
def test_an_endpoint_that_hangs_keeps_nobody_else_waiting_for_a_thread(tmp_path, monkeypatch, what):
    over = threading.Event()

    async def main():
        loop, hangs = asyncio.get_running_loop(), asyncio.Event()

        def hang(*_, **__):
            loop.call_soon_threadsafe(hangs.set)
            over.wait(60)
            raise OSError(errno.EIO, os.strerror(errno.EIO))

        if what == "disk":
            sink = FileSink(tmp_path / "events.jsonl")
            monkeypatch.setattr("guardian.events.sinks.os.fsync", hang)
        else:
            sink = hook("http://receiver.example/events")
            monkeypatch.setattr(socket, "getaddrinfo", hang)
        try:
            async with many_tries(sink):
                await hangs.wait()
                async with asyncio.timeout(20):
                    assert await asyncio.to_thread(lambda: "free") == "free"
            await sink.close()
        finally:
            over.set()

    asyncio.run(main())

"""The relay of one server, with a store in a file."""

import asyncio
import threading

import pytest

from guardian.core.delivery import About
from guardian.core.errors import Unavailable
from guardian.event_relay import EventRelay
from guardian.events.envelope import Issuer
from guardian.settings import Settings
from guardian.store.outbox import Entry
from guardian.store.upgrade import open_store
from guardian.telemetry.metrics import Metrics
from guardian.tenure import Alone


@pytest.fixture
def settings(tmp_path):
    return Settings.model_validate({"data_dir": str(tmp_path)})


@pytest.fixture
def store(settings):
    database = open_store(settings.store_config())
    yield database
    database.close()


def relay_of(settings, store):
    return EventRelay(settings, store, Metrics(), Issuer("", "guardian", "1", "here", "", ""))


def test_a_look_at_the_store_that_fails_ends_nothing(settings, store, monkeypatch, caplog):
    monkeypatch.setattr("guardian.event_relay.WATCH_EVERY_S", 0.01)

    again, told = threading.Event(), threading.Event()
    faults = []

    def odd(*_):
        faults.append(1)
        if len(faults) > 5:
            again.set()
        raise ValueError("said in private")

    async def main():
        relay = relay_of(settings, store)
        monkeypatch.setattr(relay, "_measure", odd)
        monkeypatch.setattr(relay.outbox, "forget", odd)
        record = relay.outbox.record
        monkeypatch.setattr(relay.outbox, "record", lambda outcomes: (record(outcomes), told.set()))
        async with asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(relay.watch()), tasks.create_task(relay.deliver(Alone()))]
            assert await asyncio.to_thread(again.wait, 20)
            relay.outbox.append([Entry("c", 1.0, lambda _: ("c-1", b'{"a": 1}'), About())])
            relay._wake()
            assert await asyncio.to_thread(told.wait, 20)
            for task in running:
                task.cancel()
        relay.desk.close(5)

    asyncio.run(main())
    assert settings.events_path.read_bytes() == b'{"a": 1}\n'
    assert "ValueError" in caplog.text
    assert "said in private" not in caplog.text


def test_a_store_that_another_server_took_is_left_to_it(settings, store, monkeypatch):
    monkeypatch.setattr(store, "stay_alone", lambda: False)

    async def main():
        relay = relay_of(settings, store)
        try:
            async with asyncio.timeout(20):
                await relay.watch()
        finally:
            relay.desk.close(5)

    with pytest.raises(Unavailable) as ended:
        asyncio.run(main())
    error = ended.value
    assert isinstance(error, Unavailable)

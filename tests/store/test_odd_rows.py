"""Rows of events that somebody has written into: no query, list or delivery ends by one."""

import asyncio
import sqlite3
from contextlib import closing

import pytest

from guardian.core.delivery import DeadFilter, Fate, Outcome, Route
from guardian.core.errors import StoreFault
from guardian.events.pump import Pace, Pump
from guardian.store.database import StoreConfig
from guardian.store.dead_letters import DeadLetters
from guardian.store.outbox import Entry, Outbox
from guardian.store.participants import Named, NamedEvents
from guardian.store.schema import deliveries, endpoints, events, heads, sequences
from guardian.store.upgrade import open_store

VALUES = ("CAST(x'6576fe80' AS TEXT)", "x'00ff'", "'odd'", "-1e300")
HOOK = [Route("hook")]
ALL = DeadFilter()


@pytest.fixture
def store(tmp_path):
    database = open_store(StoreConfig(tmp_path / "guardian.db"))
    yield database
    database.close()


def put(store, count):
    entries = [
        Entry(f"c{n}", 10.0, lambda _, n=n: (f"e{n}", b'{"subject": "shopper/u_1"}')) for n in range(count)
    ]
    Outbox(store, HOOK).append(entries)


def write(store, table, column):
    """As somebody does with a program of their own: another odd value in each row but the last."""
    with closing(sqlite3.connect(store.name)) as db:
        for row, value in enumerate(VALUES, 1):
            db.execute(f"UPDATE {table.name} SET {column} = {value} WHERE rowid = {row}")
        db.commit()


class Taker:
    name = "hook"
    timeout_s = 5.0

    def __init__(self, enough):
        self.taken, self._enough = [], enough

    async def deliver(self, due):
        self.taken.append(due.event_id)
        if due.event_id == "e4":
            self._enough.set()


@pytest.mark.parametrize(
    ("table", "column"),
    [(table, column.name) for table in (events, deliveries, heads, sequences) for column in table.columns],
    ids=lambda each: getattr(each, "name", each),
)
def test_what_is_left_is_delivered_and_nothing_is_sent_without_end(store, table, column):
    put(store, 5)
    write(store, table, column)
    outbox = Outbox(store, HOOK)

    async def main():
        enough = asyncio.Event()
        sink = Taker(enough)
        pump = Pump(outbox, [sink], lambda *_: None, Pace(lambda: 20.0))
        async with asyncio.timeout(20), asyncio.TaskGroup() as tasks:
            running = tasks.create_task(pump.run())
            await enough.wait()
            for _ in range(20):
                pump.wake()
                await asyncio.sleep(0)
            running.cancel()
        return sink.taken

    taken = asyncio.run(main())
    assert len(taken) == len(set(taken))
    outbox.pending()
    outbox.of_call("c4", 0, 9)
    outbox.unfinished()
    list(NamedEvents(store).of(Named("", "u_1")))
    NamedEvents(store).forget(Named("", "u_1"))
    while outbox.forget(1e9):
        pass


@pytest.mark.parametrize(
    ("table", "column"),
    [(table, column.name) for table in (events, deliveries, endpoints) for column in table.columns],
    ids=lambda each: getattr(each, "name", each),
)
def test_dead_letters_are_listed_and_given_up(store, table, column):
    put(store, 5)
    outbox, letters = Outbox(store, HOOK), DeadLetters(store, HOOK)
    outbox.record([Outcome("hook", f"e{n}", f"c{n}", Fate.DEAD, 30.0, "no") for n in range(5)])
    outbox.record([Outcome("hook", "e4", "c4", Fate.GONE, 30.0, "gone")])
    write(store, table, column)
    found = letters.found(ALL, 9)
    assert "e4" in {letter.event_id for letter in found}
    letters.endpoints()
    letters.body(ALL)
    while letters.end(1e9, 1e9):
        pass
    assert "e4" not in {letter.event_id for letter in letters.found(ALL, 9)}
    letters.replay(ALL, 40.0)


def test_a_delivery_that_is_not_there_is_told_as_such(store):
    with pytest.raises(StoreFault):
        Outbox(store, HOOK).record([Outcome("hook", "e9", "c", Fate.DONE, 30.0)])

import sqlite3
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from guardian.core.errors import Unavailable
from guardian.store.outbox import Entry, Outbox
from guardian.store.writer import Writer


def entry(call_id="c", at=100.0):
    return Entry(call_id, at, lambda sequence: (f"{call_id}-{sequence}", b"%d" % sequence))


@pytest.fixture
def outbox(tmp_path):
    store = Outbox(tmp_path / "guardian.db", ["file", "hook"])
    yield store
    store.close()


def ids(rows):
    return [row.event_id for row in rows]


def test_sequences_have_no_gaps_whoever_writes(outbox):
    with ThreadPoolExecutor(4) as pool:
        for _ in pool.map(lambda _: outbox.append([entry(), entry("d")]), range(10)):
            pass
    assert [kept.sequence for kept in outbox.of_call("c", 0, 100)] == list(range(1, 11))
    assert [kept.sequence for kept in outbox.of_call("d", 7, 100)] == [8, 9, 10]


def test_only_the_oldest_event_of_a_call_is_due(outbox):
    outbox.append([entry("c"), entry("c"), entry("d")])
    assert sorted(ids(outbox.due("hook", 101.0, 9))) == ["c-1", "d-1"]
    outbox.again("hook", "c-1", 200.0, "HTTP 500")
    assert ids(outbox.due("hook", 101.0, 9)) == ["d-1"]
    assert sorted(ids(outbox.due("file", 101.0, 9))) == ["c-1", "d-1"]
    outbox.done("hook", "d-1")
    assert outbox.next_due("hook") == 200.0
    (retried,) = outbox.due("hook", 200.0, 9)
    assert (retried.event_id, retried.attempts) == ("c-1", 1)
    outbox.done("hook", "c-1")
    assert ids(outbox.due("hook", 200.0, 9)) == ["c-2"]


def test_a_dead_letter_stays_and_lets_the_next_pass(outbox):
    outbox.append([entry(), entry()])
    outbox.dead("hook", "c-1", "HTTP 410")
    assert ids(outbox.due("hook", 101.0, 9)) == ["c-2"]
    assert outbox.pending() == {("file", "pending"): 2, ("hook", "pending"): 1, ("hook", "dead"): 1}


def test_events_outlive_the_process(tmp_path):
    first = Outbox(tmp_path / "guardian.db", ["hook"])
    first.append([entry(), entry()])
    first.done("hook", "c-1")
    first.close()
    second = Outbox(tmp_path / "guardian.db", ["hook"])
    assert ids(second.due("hook", 101.0, 9)) == ["c-2"]
    assert second.append([entry()])[0].sequence == 3
    second.close()


def test_all_or_nothing_is_kept(outbox):
    def broken(sequence):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        outbox.append([entry(), Entry("c", 1.0, broken)])
    assert outbox.of_call("c", 0, 9) == ()
    assert outbox.append([entry()])[0].sequence == 1


def test_old_events_are_forgotten_once_everyone_has_them(outbox):
    outbox.append([entry(at=1.0), entry(at=1.0), entry(at=50.0)])
    outbox.done("file", "c-1")
    outbox.done("hook", "c-1")
    outbox.done("file", "c-2")
    assert outbox.forget(10.0) == 1
    assert [kept.sequence for kept in outbox.of_call("c", 0, 9)] == [2, 3]
    assert outbox.append([entry()])[0].sequence == 4


def test_a_store_of_a_newer_guardian_is_left_alone(tmp_path):
    path = tmp_path / "guardian.db"
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(Unavailable, match="newer Guardian"):
        Outbox(path, [])


def test_what_is_no_store_is_named(tmp_path):
    path = tmp_path / "guardian.db"
    path.write_bytes(b"not a database at all" * 100)
    with pytest.raises(Unavailable, match="cannot be opened"):
        Outbox(path, [])


class Full:
    """An outbox on a disk that is full until it is told otherwise."""

    def __init__(self, outbox):
        self.outbox = outbox
        self.tried = threading.Event()
        self.full = True

    def append(self, entries):
        if self.full:
            self.tried.set()
            raise Unavailable("full")
        return self.outbox.append(entries)


def test_a_full_disk_is_waited_out_and_then_refused(outbox):
    disk = Full(outbox)
    writer = Writer(disk, lambda _: None, room=2)
    first = writer.submit(entry())
    assert disk.tried.wait(5)
    kept = [writer.submit(entry()) for _ in range(2)]
    with pytest.raises(Unavailable):
        writer.submit(entry())
    disk.full = False
    assert [future.result(5).sequence for future in (first, *kept)] == [1, 2, 3]
    assert writer.close(5) == 0


def test_what_waits_is_written_at_the_end(outbox):
    told = []
    writer = Writer(outbox, told.extend)
    for _ in range(100):
        writer.submit(entry(at=time.time()))
    assert writer.close(10) == 0
    assert [kept.sequence for kept in told] == list(range(1, 101))


def test_an_event_that_cannot_be_built_stops_nobody_else(outbox):
    writer = Writer(outbox, lambda _: None)

    def broken(sequence):
        raise ValueError("no such field")

    bad = writer.submit(Entry("c", 1.0, broken))
    good = writer.submit(entry())
    with pytest.raises(ValueError, match="no such field"):
        bad.result(5)
    assert good.result(5).sequence == 1
    writer.close(5)


def test_who_stops_waiting_takes_nothing_back(outbox):
    disk = Full(outbox)
    writer = Writer(disk, lambda _: None)
    impatient = writer.submit(entry())
    assert disk.tried.wait(5)
    assert not impatient.cancel()
    disk.full = False
    assert writer.submit(entry()).result(5).sequence == 2
    assert impatient.result(0).sequence == 1
    assert writer.close(5) == 0


def test_a_disk_that_takes_nothing_is_noticed(outbox, monkeypatch):
    monkeypatch.setattr("guardian.store.writer._STALLED_S", 0.0)
    disk = Full(outbox)
    writer = Writer(disk, lambda _: None)
    assert not writer.stalled
    first = writer.submit(entry())
    assert disk.tried.wait(5)
    assert writer.stalled
    disk.full = False
    first.result(5)
    assert not writer.stalled
    assert writer.close(5) == 0

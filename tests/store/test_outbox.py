import sys
import threading
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
import sqlalchemy as sa

from guardian.core.delivery import About, DeadFilter, Fate, Life, Look, Outcome, Route
from guardian.core.errors import StoreFault, Unavailable
from guardian.core.violations import Level
from guardian.store.dead_letters import DeadLetters
from guardian.store.outbox import Entry, Outbox
from guardian.store.upgrade import open_store
from guardian.store.writer import Writer

ROUTES = [Route("file"), Route("hook")]


def entry(call_id="c", at=100.0, **about):
    return Entry(call_id, at, lambda sequence: (f"{call_id}-{sequence}", b"%d" % sequence), About(**about))


@pytest.fixture
def outbox(database):
    return Outbox(database, ROUTES)


def ids(rows):
    return [row.event_id for row in rows]


def due(outbox, sink, now=101.0):
    return outbox.look(sink, now, 9).due


def ended(outbox, sink, *names, fate=Fate.DONE, **more):
    """Tells how tries went, of events named CALL-NUMBER."""
    outbox.record([Outcome(sink, name, name.rpartition("-")[0], fate, 101.0, **more) for name in names])


def test_sequences_have_no_gaps_whoever_writes(outbox):
    with ThreadPoolExecutor(4) as pool:
        for _ in pool.map(lambda _: outbox.append([entry(), entry("d")]), range(10)):
            pass
    assert [kept.sequence for kept in outbox.of_call("c", 0, 100)] == list(range(1, 11))
    assert [kept.sequence for kept in outbox.of_call("d", 7, 100)] == [8, 9, 10]


def test_how_long_the_oldest_event_waits_is_known_per_sink(outbox):
    assert outbox.oldest() == {}
    outbox.append([entry("c", 100.0), entry("d", 90.0), entry("c", 110.0)])
    ended(outbox, "file", "c-1", "d-1")
    assert outbox.oldest() == {"file": 110.0, "hook": 90.0}


def test_only_the_oldest_event_of_a_call_is_due(outbox):
    outbox.append([entry("c"), entry("c"), entry("d")])
    assert sorted(ids(due(outbox, "hook"))) == ["c-1", "d-1"]
    ended(outbox, "hook", "c-1", fate=Fate.AGAIN, error="HTTP 500", wait=99.0)
    assert ids(due(outbox, "hook")) == ["d-1"]
    assert sorted(ids(due(outbox, "file"))) == ["c-1", "d-1"]
    ended(outbox, "hook", "d-1")
    assert outbox.look("hook", 101.0, 9).next_at == 200.0
    (retried,) = due(outbox, "hook", 200.0)
    assert (retried.event_id, retried.attempts) == ("c-1", 1)
    ended(outbox, "hook", "c-1")
    assert ids(due(outbox, "hook", 200.0)) == ["c-2"]
    ended(outbox, "hook", "c-2")
    assert outbox.look("hook", 200.0, 9) == Look((), None)


def test_calls_take_turns(outbox):
    outbox.append([entry("c", 100.0), entry("c", 100.0), entry("d", 100.5)])
    (first,) = outbox.look("hook", 101.0, 1).due
    ended(outbox, "hook", first.event_id)
    assert ids(outbox.look("hook", 101.0, 1).due) == ["d-1"]


def test_a_dead_letter_stays_and_lets_the_next_pass(outbox):
    outbox.append([entry(), entry()])
    ended(outbox, "hook", "c-1", fate=Fate.DEAD, error="HTTP 404")
    assert ids(due(outbox, "hook")) == ["c-2"]
    assert outbox.pending() == {("file", "pending"): 2, ("hook", "pending"): 1, ("hook", "dead"): 1}


def test_a_sink_gets_what_it_wants(database):
    routes = [
        Route("grave", types=("violation.*",), levels=(Level.BLOCK,)),
        Route("ends", types=("call.left",)),
        Route("acme", tenants=("acme",)),
    ]
    outbox = Outbox(database, routes)
    outbox.append(
        [
            entry("c", type="violation.detected", level=Level.REVIEW),
            entry("c", type="violation.updated", level=Level.BLOCK),
            entry("c", type="call.left", tenant="acme"),
            entry("d", type="call.coverage"),
        ]
    )
    assert {route.sink: ids(due(outbox, route.sink)) for route in routes} == {
        "grave": ["c-2"],
        "ends": ["c-3"],
        "acme": ["c-3"],
    }


def test_what_belongs_to_an_event_is_written_with_it_or_not_at_all(database, outbox):
    def note(db):
        db.execute(sa.text("INSERT INTO notes VALUES ('seen')"))

    def fails(db):
        note(db)
        raise ZeroDivisionError

    with database.writing() as db:
        db.execute(sa.text("CREATE TABLE notes (id VARCHAR)"))
    outbox.append([replace(entry(), also=note)])
    with pytest.raises(ZeroDivisionError):
        outbox.append([replace(entry(), also=fails)])
    with database.reading() as db:
        assert list(db.execute(sa.text("SELECT id FROM notes")).scalars()) == ["seen"]
    assert [kept.sequence for kept in outbox.of_call("c", 0, 9)] == [1]


def test_events_outlive_the_process(store_config):
    first = open_store(store_config)
    outbox = Outbox(first, ROUTES)
    outbox.append([entry(), entry()])
    ended(outbox, "hook", "c-1")
    first.close()
    second = open_store(store_config)
    outbox = Outbox(second, ROUTES)
    assert ids(due(outbox, "hook")) == ["c-2"]
    assert outbox.append([entry()])[0].sequence == 3
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
    ended(outbox, "file", "c-1", "c-2")
    ended(outbox, "hook", "c-1")
    assert outbox.forget(10.0) == 1
    assert outbox.forget(10.0) == 0
    assert [kept.sequence for kept in outbox.of_call("c", 0, 9)] == [2, 3]
    assert outbox.append([entry()])[0].sequence == 4


def test_numbers_of_a_call_go_on_long_after_its_events_are_forgotten(database):
    outbox = Outbox(database, [])
    outbox.append([entry(at=1.0), entry(at=1.0)])
    assert outbox.forget(1e6) == 2
    assert outbox.forget(1e6) == 0
    assert outbox.append([entry(at=1e6, life=Life.LATER)])[0].sequence == 3
    year_and_more = 1e6 + 401 * 86400
    assert outbox.forget(year_and_more + 1) == 1
    assert outbox.forget(year_and_more + 1) == 0
    assert outbox.append([entry(at=year_and_more)])[0].sequence == 1


def test_calls_that_nobody_has_ended_are_known(outbox):
    outbox.append([entry("on", life=Life.BEGUN), entry("on"), entry("over"), entry("over", life=Life.ENDED)])
    outbox.append([entry("over", life=Life.LATER), entry("late", life=Life.LATER)])
    outbox.append([entry("again", life=Life.ENDED), entry("again", life=Life.BEGUN)])
    assert sorted(ids(outbox.unfinished())) == ["again-2", "on-2"]
    assert [call for call in ("on", "over", "again", "nowhere") if outbox.over(call)] == ["over"]


def test_what_was_taken_is_no_dead_letter_when_another_server_gives_it_up(outbox):
    outbox.append([entry("c")])
    for fate in (Fate.DONE, Fate.DEAD, Fate.AGAIN):
        outbox.record([Outcome("file", "c-1", "c", fate, 2.0, "late")])
    assert outbox.pending() == {("hook", "pending"): 1}
    assert not outbox.look("file", 1e9, 9).due


def test_a_clock_that_is_set_back_holds_nothing_up(outbox):
    outbox.append([entry(at=9000.0), entry("d", at=50.0)])
    ended(outbox, "hook", "d-1", fate=Fate.AGAIN, error="HTTP 500", wait=99.0)
    outbox.resume(now=150.0)
    assert ids(due(outbox, "hook", 150.0)) == ["c-1"]
    assert outbox.look("hook", 150.0, 9).next_at == 200.0


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

    def kept(self, entries):
        return self.outbox.kept(entries)


class Speechless(Full):
    """An outbox that keeps events and then loses the answer to the first of them."""

    def append(self, entries):
        kept = self.outbox.append(entries)
        if self.full:
            self.full = False
            raise Unavailable("the connection is gone")
        return kept


def test_events_whose_commit_was_not_answered_are_kept_once(outbox):
    told = []
    writer = Writer(Speechless(outbox), told.extend)
    both = [Entry("c", 1.0, lambda sequence, n=n: (f"id-{n}", b"x"), event_id=f"id-{n}") for n in (1, 2)]
    kept = writer.submit(*both).result(5)
    assert (kept.event_id, kept.sequence) == ("id-1", 1)
    assert writer.submit(entry()).result(5).sequence == 3
    assert writer.close(5) == 0
    assert [one.sequence for one in told] == [1, 2, 3]
    assert ids(outbox.of_call("c", 0, 9)) == ["id-1", "id-2", "c-3"]


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


def test_of_many_who_come_at_once_no_more_are_taken_than_there_is_room_for(outbox):
    disk, often = Full(outbox), sys.getswitchinterval()
    writer = Writer(disk, lambda _: None, room=3)
    writer.submit(entry())
    assert disk.tried.wait(5)
    taken, refused, ready = [], [], threading.Barrier(16)

    def come():
        ready.wait(5)
        try:
            taken.append(writer.submit(entry()))
        except Unavailable as error:
            refused.append(error)

    sys.setswitchinterval(1e-6)
    try:
        all_of_them = [threading.Thread(target=come) for _ in range(16)]
        for one in all_of_them:
            one.start()
        for one in all_of_them:
            one.join()
    finally:
        sys.setswitchinterval(often)
    assert (len(taken), len(refused)) == (3, 13)
    disk.full = False
    assert writer.close(5) == 0
    assert all(future.done() for future in taken)


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


def test_events_that_go_together_are_kept_together(outbox):
    writer = Writer(outbox, lambda _: None)

    def broken(sequence):
        raise ValueError("no such field")

    alone = writer.submit(entry())
    with pytest.raises(ValueError, match="no such field"):
        writer.submit(entry("d"), Entry("d", 1.0, broken)).result(5)
    both = writer.submit(entry("d"), entry("d"))
    assert (alone.result(5).event_id, both.result(5).event_id) == ("c-1", "d-1")
    assert ids(outbox.of_call("d", 0, 9)) == ["d-1", "d-2"]
    writer.close(5)


def test_an_event_that_the_store_does_not_take_stops_nobody_else_and_is_not_quoted(outbox):
    writer = Writer(outbox, lambda _: None)
    writer.submit(entry()).result(5)
    twice = writer.submit(Entry("d", 1.0, lambda sequence: ("c-1", b"said in private")))
    good = writer.submit(entry())
    with pytest.raises(StoreFault) as refused:
        twice.result(5)
    assert "said in private" not in "".join(traceback.format_exception(refused.value))
    assert good.result(5).sequence == 2
    assert writer.close(5) == 0


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


def test_a_store_that_does_not_answer_is_noticed(outbox, monkeypatch):
    monkeypatch.setattr("guardian.store.writer._STALLED_S", 0.0)
    asked, answers = threading.Event(), threading.Event()

    class Silent:
        def append(self, entries):
            asked.set()
            assert answers.wait(5)
            return outbox.append(entries)

    writer = Writer(Silent(), lambda _: None)
    first = writer.submit(entry())
    assert asked.wait(5)
    assert writer.stalled
    answers.set()
    first.result(5)
    assert not writer.stalled
    assert writer.close(5) == 0


def test_what_a_full_disk_does_not_take_at_the_end_is_counted(outbox, monkeypatch):
    monkeypatch.setattr("guardian.store.writer._BATCH", 2)
    disk = Full(outbox)
    writer = Writer(disk, lambda _: None)
    futures = [writer.submit(entry()) for _ in range(5)]
    assert disk.tried.wait(5)
    assert writer.close(10) == 5
    for future in futures:
        with pytest.raises(Unavailable):
            future.result(0)


def test_dead_letters_come_to_life_also_after_the_clock_was_set_back(database, outbox, monkeypatch):
    monkeypatch.setattr("guardian.store.dead_letters._AT_ONCE", 2)
    outbox.append([entry() for _ in range(5)])
    ended(outbox, "hook", *(f"c-{number}" for number in range(1, 6)), fate=Fate.DEAD, error="HTTP 404")
    letters = DeadLetters(database, ROUTES)
    assert letters.replay(DeadFilter(endpoint="hook"), 50.0) == 5
    assert letters.count(DeadFilter()) == 0
    assert ids(due(outbox, "hook", 50.0)) == ["c-1"]


def test_dead_letters_are_given_up_as_many_as_somebody_has_seen(database, outbox, monkeypatch):
    monkeypatch.setattr("guardian.store.dead_letters._AT_ONCE", 2)
    outbox.append([entry() for _ in range(6)])
    ended(outbox, "hook", *(f"c-{number}" for number in range(1, 6)), fate=Fate.DEAD, error="HTTP 404")
    letters = DeadLetters(database, [])  # Its endpoint is not configured any more.
    assert letters.discard(DeadFilter(endpoint="file")) == 0
    assert letters.discard(DeadFilter(endpoint="hook"), 3) == 3
    assert [letter.event_id for letter in letters.found(DeadFilter(), 9)] == ["c-4", "c-5"]
    assert letters.discard(DeadFilter()) == 2
    assert outbox.pending() == {("hook", "pending"): 1, ("file", "pending"): 6}
    assert ids(due(outbox, "hook", 500.0)) == ["c-6"]


def test_what_nobody_takes_is_given_up_in_the_end(database):
    before = Outbox(database, [*ROUTES, Route("gone")])
    before.append([entry(), entry(), entry("late", at=900.0)])
    for sink in ("file", "hook"):
        ended(before, sink, "late-1")
    ended(before, "file", "c-1", "c-2")
    ended(before, "hook", "c-1", fate=Fate.DEAD, error="HTTP 404")
    ended(before, "hook", "c-2", fate=Fate.AGAIN, error="HTTP 500", wait=99.0)
    outbox, letters = Outbox(database, ROUTES), DeadLetters(database, ROUTES)
    assert letters.end(100.0, 500.0) == 0
    # The dead letter, and two for the endpoint that is no more.
    assert letters.end(500.0, 500.0) == 3
    assert outbox.pending() == {("hook", "pending"): 1, ("gone", "pending"): 1}
    assert outbox.look("hook", 150.0, 9) == Look((), 200.0)
    assert outbox.forget(500.0) == 1
    ended(outbox, "hook", "c-2")
    assert outbox.forget(500.0) == 1
    assert ids(before.look("gone", 950.0, 9).due) == ["late-1"]


def test_what_waits_for_an_endpoint_that_stays_disabled_is_given_up(database, outbox):
    outbox.append([entry(), entry()])
    ended(outbox, "hook", "c-1", fate=Fate.GONE, error="HTTP 410")
    letters = DeadLetters(database, ROUTES)
    assert letters.end(101.0, 500.0) == 0
    assert letters.end(102.0, 500.0) == 2
    assert outbox.pending() == {("file", "pending"): 2}
    letters.enable("hook")
    assert due(outbox, "hook") == ()

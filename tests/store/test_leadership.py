"""Of several servers with one store of PostgreSQL one leads, and another one soon after it has gone."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

import pytest
import sqlalchemy as sa

from guardian.core.errors import Unavailable
from guardian.store.database import Database, StoreConfig
from guardian.store.upgrade import Standing, open_store, standing
from guardian.tenure import elected

_HOLDERS = "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted"
WAIT_S = 60


@pytest.fixture
def stores(postgres, tmp_path):
    config = StoreConfig(tmp_path / "unused.db", postgres.made_store())
    both = Database(config), Database(config)
    yield both
    for database in both:
        database.close()


def end_session(database):
    """Of whoever leads, as a server does that is started again."""
    with database.reading() as db:
        query = f"SELECT pg_terminate_backend(pid, 5000) FROM ({_HOLDERS}) AS holders"
        assert all(db.execute(sa.text(query)).scalars())


def test_one_leads_and_the_next_one_after_it(stores):
    one, other = (database.leadership() for database in stores)
    assert one.hold()
    assert one.hold()
    assert not other.hold()
    with pytest.raises(Unavailable, match="Another Guardian"), stores[1].alone():
        pass
    one.release()
    assert other.hold()
    assert not one.hold()
    one.release()
    other.release()
    with stores[0].alone():
        assert not other.hold()
    other.release()


def test_who_loses_the_connection_leads_no_more_until_it_asks_again(stores):
    one, other = (database.leadership() for database in stores)
    assert one.hold()
    end_session(stores[1])
    with pytest.raises(Unavailable):
        one.hold()
    assert other.hold()
    assert not one.hold()
    one.release()
    other.release()


def test_a_leader_that_says_nothing_is_a_leader_no_more(stores):
    """As when it is stopped, or its machine has gone."""
    one, other = (database.leadership() for database in stores)
    assert one.hold()
    with stores[1].reading() as db:
        while not other.hold():
            db.execute(sa.text("SELECT pg_sleep(0.5)"))
    with pytest.raises(Unavailable):
        one.hold()
    one.release()
    other.release()


class Work:
    """A job that says whether it is being done."""

    def __init__(self):
        self.going_on = asyncio.Event()
        self.ended = asyncio.Event()

    async def run(self):
        self.going_on.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.going_on.clear()
            self.ended.set()


@contextmanager
def servers(stores):
    with ExitStack() as undo:
        yield [(undo.enter_context(elected(database)), Work()) for database in stores]


async def anybody(tasks, *works):
    looking = [tasks.create_task(work.going_on.wait()) for work in works]
    await asyncio.wait(looking, return_when=asyncio.FIRST_COMPLETED)
    for one in looking:
        one.cancel()


def test_the_work_is_done_by_one_and_handed_over(stores):
    async def main(pair):
        async with asyncio.TaskGroup() as tasks, asyncio.timeout(WAIT_S):
            running = [tasks.create_task(tenure.run(work.run)) for tenure, work in pair]
            await anybody(tasks, *(work for _, work in pair))
            at = 0 if pair[0][1].going_on.is_set() else 1
            (leader, work), (follower, others) = pair[at], pair[1 - at]
            assert leader.leads()
            assert not follower.leads()
            assert not others.going_on.is_set()
            # It was cut off: it stops, and whoever asks first has it.
            await asyncio.to_thread(end_session, stores[1 - at])
            await work.ended.wait()
            await anybody(tasks, work, others)
            assert leader.leads() is not follower.leads()
            # Its server ends: the other one goes on.
            last = at if leader.leads() else 1 - at
            running[last].cancel()
            await pair[last][1].ended.wait()
            await asyncio.to_thread(pair[last][0].close)
            await pair[1 - last][1].going_on.wait()
            running[1 - last].cancel()

    with servers(stores) as pair:
        asyncio.run(main(pair))


def test_a_leader_goes_on_when_its_database_was_started_again(postgres, stores):
    async def main(pair):
        (tenure, work), _ = pair
        async with asyncio.TaskGroup() as tasks, asyncio.timeout(2 * WAIT_S):
            running = tasks.create_task(tenure.run(work.run))
            await work.going_on.wait()
            await asyncio.to_thread(postgres.kill)
            try:
                await work.ended.wait()
                assert not tenure.leads()
            finally:
                await asyncio.to_thread(postgres.start)
            await work.going_on.wait()
            running.cancel()

    with servers(stores) as pair:
        asyncio.run(main(pair))


def test_servers_that_start_together_make_the_tables_once(postgres, tmp_path):
    config = StoreConfig(tmp_path / "unused.db", postgres.database())
    with ThreadPoolExecutor(3) as pool:
        opened = list(pool.map(lambda _: open_store(config), range(3)))
    for database in opened:
        assert standing(database) is Standing.CURRENT
        database.close()

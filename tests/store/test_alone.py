"""A store of PostgreSQL has one server, also when the connection that says so is lost."""

import pytest
import sqlalchemy as sa

from guardian.core.errors import Unavailable
from guardian.store import audit
from guardian.store.database import Database, StoreConfig
from guardian.store.upgrade import upgrade

_OTHERS = "FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND application_name = 'guardian'"


@pytest.fixture
def pair(postgres, tmp_path):
    config = StoreConfig(tmp_path / "guardian.db", postgres.database())
    both = Database(config), Database(config)
    yield both
    for database in both:
        database.close()


def cut_off(database):
    """Ends every other connection to this database, as a server that is started again does."""
    with database.reading() as db:
        query = f"SELECT pg_terminate_backend(pid, 5000) {_OTHERS} AND datname = current_database()"
        assert all(db.execute(sa.text(query)).scalars())


def test_a_lost_lock_is_taken_anew(pair):
    first, second = pair
    with first.alone():
        assert first.stay_alone()
        cut_off(second)
        assert first.stay_alone()
        with pytest.raises(Unavailable, match="Another Guardian"), second.alone():
            pass
    with second.alone():
        assert second.stay_alone()


def test_a_lock_that_another_took_meanwhile_is_noticed(pair):
    first, second = pair
    with first.alone():
        cut_off(second)
        with second.alone():
            assert not first.stay_alone()
            assert second.stay_alone()


def test_a_session_that_the_server_has_not_given_up_is_still_ones_own(pair):
    first, _ = pair
    with first.alone():
        lost, first._lock._connection = first._lock._connection, None
        assert first.stay_alone()
        lost.close()
        assert first.stay_alone()
        assert first._lock._connection is not None


def test_who_says_nothing_in_the_middle_of_a_transaction_holds_nobody_up(pair):
    """As when a server is stopped: the chain is locked, and all others wait for it."""
    stopped, other = pair
    upgrade(other)

    def stop_for_a_while():
        with stopped.writing() as db:
            audit.hold(db)
            with other.writing() as waiting:
                audit.hold(waiting)
            db.execute(sa.text("SELECT 1"))

    with pytest.raises(Unavailable):
        stop_for_a_while()

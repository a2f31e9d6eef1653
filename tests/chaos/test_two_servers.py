"""Two servers never deliver from one store of PostgreSQL for long, whatever happens to its connections."""

from contextlib import contextmanager

import pytest
import sqlalchemy as sa

from guardian.core.errors import Unavailable
from guardian.store.database import Database, StoreConfig
from tests.chaos.running import admit, serving, until

_HOLDERS = "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted"


@contextmanager
def another(config):
    """Cuts off whoever has the store and takes it, as another server does that starts at this moment."""
    other = Database(config)
    try:
        while True:
            with other.reading() as db:
                db.execute(sa.text(f"SELECT pg_terminate_backend(pid, 5000) FROM ({_HOLDERS}) AS holders"))
            try:
                with other.alone():
                    yield
                    return
            except Unavailable:  # It was quicker, and has it again.
                continue
    finally:
        other.close()


@pytest.mark.real
def test_a_server_that_was_cut_off_goes_on_until_another_has_its_store(tmp_path, postgres):
    config = StoreConfig(tmp_path / "unused.db", postgres.database())
    with serving(tmp_path, more=f'[store]\nurl = "{config.url}"\n') as (process, client):
        admit(client, "c")
        other = Database(config)
        with other.reading() as db:
            (before,) = db.execute(sa.text(_HOLDERS)).scalars()
            db.execute(sa.text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": before})

        def held_anew():
            with other.reading() as db:
                return [pid for pid in db.execute(sa.text(_HOLDERS)).scalars() if pid != before]

        until(held_anew)
        other.close()
        until(lambda: client.post("/v1/calls/c/complaint").status_code == 202)
        with another(config):
            assert process.wait(30) == 1
    assert "Another Guardian took the store" in (tmp_path / "guardian.log").read_text().splitlines()[-1]

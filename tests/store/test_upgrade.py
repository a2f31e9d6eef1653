"""A store of an older Guardian is brought up to date, one of a newer is left alone; on both engines."""

import json
import sqlite3
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from guardian.core.delivery import DeadFilter, Route
from guardian.core.errors import Unavailable
from guardian.store.database import Database, StoreConfig
from guardian.store.dead_letters import DeadLetters
from guardian.store.outbox import Outbox
from guardian.store.tables import metadata
from guardian.store.upgrade import Standing, newest, open_store, revision, standing, upgrade

ROUTES = [Route("file"), Route("hook")]

BEFORE_REVISIONS = """
CREATE TABLE sequences (call_id VARCHAR NOT NULL, last INTEGER NOT NULL, PRIMARY KEY (call_id));
CREATE TABLE events (
    id VARCHAR NOT NULL, call_id VARCHAR NOT NULL, sequence INTEGER NOT NULL, body BLOB NOT NULL,
    at FLOAT NOT NULL, PRIMARY KEY (id), UNIQUE (call_id, sequence)
);
CREATE INDEX events_by_age ON events (at);
CREATE TABLE deliveries (
    sink VARCHAR NOT NULL, event_id VARCHAR NOT NULL, call_id VARCHAR NOT NULL, sequence INTEGER NOT NULL,
    attempts INTEGER NOT NULL, next_at FLOAT NOT NULL, state VARCHAR NOT NULL, last_error VARCHAR,
    PRIMARY KEY (sink, event_id), FOREIGN KEY(event_id) REFERENCES events (id)
);
CREATE INDEX deliveries_pending ON deliveries (sink, state, call_id, sequence);
CREATE INDEX deliveries_by_event ON deliveries (event_id, state);
"""
"""As `sqlite3 guardian.db .schema` had it before there were revisions."""


def body(call_id, sequence, kind, **data):
    call = {"call_id": call_id, "tenant": "acme"}
    event = {"id": f"{call_id}-{sequence}", "type": f"org.example.{kind}.v1", "data": {**data, "call": call}}
    return json.dumps(event).encode()


ROWS = {
    "sequences": [{"call_id": "c", "last": 3}, {"call_id": "over", "last": 2}, {"call_id": "old", "last": 1}],
    "events": [
        {"id": "c-1", "call_id": "c", "sequence": 1, "at": 900.0, "body": body("c", 1, "call.joined")},
        {
            "id": "c-2", "call_id": "c", "sequence": 2, "at": 901.0,
            "body": body("c", 2, "violation.detected"),
        },
        {"id": "c-3", "call_id": "c", "sequence": 3, "at": 902.0, "body": body("c", 3, "call.coverage")},
        {
            "id": "over-1", "call_id": "over", "sequence": 1, "at": 890.0,
            "body": body("over", 1, "call.left", role="merchant"),
        },
        {
            "id": "over-2", "call_id": "over", "sequence": 2, "at": 891.0,
            "body": body("over", 2, "call.left", role=None),
        },
        {"id": "old-1", "call_id": "old", "sequence": 1, "at": 5.0, "body": body("old", 1, "call.joined")},
    ],
    "deliveries": [
        *(
            {
                "sink": "file", "event_id": event, "call_id": event[:-2], "sequence": int(event[-1]),
                "attempts": 0, "next_at": 900.0, "state": "done", "last_error": None,
            }
            for event in ("c-1", "c-2", "c-3", "over-1", "over-2", "old-1")
        ),
        {
            "sink": "hook", "event_id": "c-1", "call_id": "c", "sequence": 1, "attempts": 3,
            "next_at": 900.0, "state": "dead", "last_error": "HTTP 404",
        },
        {
            "sink": "hook", "event_id": "c-2", "call_id": "c", "sequence": 2, "attempts": 2,
            "next_at": 950.0, "state": "pending", "last_error": "HTTP 500",
        },
        {
            "sink": "hook", "event_id": "c-3", "call_id": "c", "sequence": 3, "attempts": 0,
            "next_at": 902.0, "state": "pending", "last_error": None,
        },
    ],
}  # fmt: skip


def fill(db):
    for name, rows in ROWS.items():
        for row in rows:
            columns, values = ", ".join(row), ", ".join(f":{key}" for key in row)
            db.execute(sa.text(f"INSERT INTO {name} ({columns}) VALUES ({values})"), row)


def written_before_revisions(config: StoreConfig) -> None:
    """A store as the last Guardian without revisions left it."""
    with sqlite3.connect(config.file) as db:
        db.executescript(BEFORE_REVISIONS)
        for name, rows in ROWS.items():
            for row in rows:
                marks = ", ".join("?" * len(row))
                db.execute(f"INSERT INTO {name} ({', '.join(row)}) VALUES ({marks})", list(row.values()))
        db.execute("PRAGMA user_version = 1")
    db.close()


def ids(look):
    return [due.event_id for due in look.due]


def check_contents(database):
    outbox, dead = Outbox(database, ROUTES), DeadLetters(database, ROUTES)
    assert ids(outbox.look("file", 1e6, 9)) == []
    assert ids(outbox.look("hook", 940.0, 9)) == []
    assert outbox.look("hook", 940.0, 9).next_at == 950.0
    (due,) = outbox.look("hook", 950.0, 9).due
    assert (due.event_id, due.attempts, due.type) == ("c-2", 2, "violation.detected")
    assert outbox.pending() == {("hook", "pending"): 2, ("hook", "dead"): 1}
    (letter,) = dead.found(DeadFilter(tenant="acme", type="call.joined"), 9)
    assert (letter.event_id, letter.attempts, letter.error) == ("c-1", 3, "HTTP 404")
    assert [kept.event_id for kept in outbox.unfinished()] == ["c-3"]
    assert [kept.sequence for kept in outbox.of_call("c", 0, 9)] == [1, 2, 3]


def test_a_new_store_is_current_and_has_the_tables_of_the_code(store_config):
    database = open_store(store_config)
    assert standing(database) is Standing.CURRENT
    assert revision(database) == newest()
    with database.reading() as db:
        assert compare_metadata(MigrationContext.configure(db), metadata) == []
    database.close()


def test_a_store_from_before_there_were_revisions_is_brought_up_to_date(tmp_path):
    config = StoreConfig(tmp_path / "guardian.db")
    written_before_revisions(config)
    with pytest.raises(Unavailable, match="guardian migrate"):
        open_store(config)
    database = Database(config)
    assert standing(database) is Standing.OLDER
    steps = []
    upgrade(database, steps.append)
    assert steps[-1] == newest()
    assert standing(database) is Standing.CURRENT
    with database.reading() as db:
        assert compare_metadata(MigrationContext.configure(db), metadata) == []
        # A Guardian without revisions leaves it alone.
        assert db.exec_driver_sql("PRAGMA user_version").scalar_one() > 1
    check_contents(database)
    database.close()
    open_store(config).close()


def test_what_a_store_holds_survives_every_step_from_the_first_revision_on(store_config):
    database = Database(store_config)
    upgrade(database, to="0001")
    with database.writing() as db:
        fill(db)
    while standing(database) is Standing.OLDER:
        upgrade(database, to="+1")
    check_contents(database)
    database.close()


def test_an_upgrade_happens_whole_or_not_at_all(store_config, monkeypatch):
    database = Database(store_config)
    upgrade(database, to="0001")
    with database.writing() as db:
        fill(db)

    def told(_):
        raise Unavailable("full")

    with pytest.raises(Unavailable):
        upgrade(database, told)
    assert revision(database) == "0001"
    with database.reading() as db:
        assert not sa.inspect(db).has_table("heads")
    upgrade(database)
    check_contents(database)
    database.close()


def test_a_store_of_a_newer_guardian_is_left_alone(store_config):
    database = open_store(store_config)
    with database.writing() as db:
        db.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    for attempt in (lambda: open_store(store_config), lambda: upgrade(database)):
        with pytest.raises(Unavailable, match="newer Guardian"):
            attempt()
    database.close()


def test_so_is_one_of_a_kind_to_come(tmp_path):
    path = tmp_path / "guardian.db"
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(Unavailable, match="newer Guardian"):
        open_store(StoreConfig(path))


def test_what_is_no_store_is_named(tmp_path):
    path = tmp_path / "guardian.db"
    path.write_bytes(b"not a database at all" * 100)
    with pytest.raises(Unavailable, match="damaged or no store"):
        open_store(StoreConfig(path))


def test_a_password_is_in_no_sentence(postgres, tmp_path):
    url = postgres.database().replace("guardian@", "stranger@")
    config = StoreConfig(tmp_path / "guardian.db", url, "hush")
    with pytest.raises(Unavailable) as refused:
        open_store(config)
    assert "hush" not in str(refused.value) + repr(config)


def test_a_server_that_is_not_there_is_named():
    pytest.importorskip("psycopg")
    config = StoreConfig(None, "postgresql://guardian@127.0.0.1:1/nowhere")
    with pytest.raises(Unavailable, match=r"127\.0\.0\.1:1/nowhere cannot be used"):
        open_store(config)


def test_a_default_of_the_server_changes_no_transaction(postgres, tmp_path):
    url = postgres.database() + "?options=-c%20default_transaction_isolation%3Dserializable"
    database = open_store(StoreConfig(tmp_path / "guardian.db", url))
    with database.writing() as db:
        assert db.execute(sa.text("SHOW transaction_isolation")).scalar_one() == "read committed"
    database.close()


def test_a_postgresql_that_only_reads_is_refused(postgres):
    """As a standby is, and a database whose owner made it read-only."""
    config = StoreConfig(Path("unused"), postgres.database())
    open_store(config).close()
    database = Database(config)
    name = sa.make_url(config.url).database
    with database.altering() as db:
        db.exec_driver_sql(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    database.close()
    with pytest.raises(Unavailable, match="read-only"):
        open_store(config)

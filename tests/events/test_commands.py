"""`guardian events` and `guardian migrate` on a store, as somebody at a terminal meets them."""

import json

import pytest
from typer.testing import CliRunner

from guardian.cli import app
from guardian.core.delivery import About, Fate, Outcome, Route
from guardian.core.errors import NoSuchEndpoint, Unavailable
from guardian.store.database import Database, StoreConfig
from guardian.store.lock import DataLock
from guardian.store.outbox import Entry, Outbox
from guardian.store.upgrade import open_store, upgrade


def rows(*words):
    """The objects of a command with --json."""
    return [json.loads(line) for line in guardian(*words, "--json").splitlines()]


def guardian(*words, error=None):
    """What it prints; or the sentence of the error it ends with."""
    result = CliRunner().invoke(app, [str(word) for word in words])
    if error is not None:
        assert isinstance(result.exception, error), result.output
        return str(result.exception)
    assert result.exit_code == 0, result.output + repr(result.exception)
    return result.output


@pytest.fixture
def data(tmp_path):
    """A data folder: the file has taken two events of three, and one is dead."""
    database = open_store(StoreConfig(tmp_path / "guardian.db"))
    outbox = Outbox(database, [Route("file"), Route("gone")])
    about = About("violation.detected", "acme")
    outbox.append([Entry("c", 1.0, lambda number: (f"c-{number}", b"{}"), about)] * 3)
    outbox.record([Outcome("file", "c-1", "c", Fate.DONE, 2.0)])
    outbox.record([Outcome("file", "c-2", "c", Fate.DEAD, 3.0, "HTTP 404")])
    outbox.record([Outcome("file", "c-3", "c", Fate.GONE, 4.0, "HTTP 410: it wants no more events")])
    database.close()
    return tmp_path


def test_dead_letters_are_listed_and_delivered_anew(data):
    (letter,) = [
        json.loads(line) for line in guardian("events", "dead", "--data", data, "--json").splitlines()
    ]
    assert (letter["event_id"], letter["endpoint"], letter["error"]) == ("c-2", "file", "HTTP 404")
    assert letter["died_at"] == "1970-01-01T00:00:03.000Z"
    assert "1 in all" in guardian("events", "dead", "--data", data)
    assert "0 in all" in guardian("events", "dead", "--data", data, "--type", "call.left")
    assert "0 events" in guardian("events", "replay", "--data", data, "--call", "d")
    assert "1 events" in guardian("events", "replay", "--data", data, "--endpoint", "file")
    assert "0 in all" in guardian("events", "dead", "--data", data)


def test_dead_letters_are_given_up_when_somebody_says_so(data):
    say = ["events", "discard", "--data", str(data)]
    kept = CliRunner().invoke(app, say, input="n\n")
    assert kept.exit_code == 1
    assert "1 dead events" in kept.output
    assert "1 in all" in guardian("events", "dead", "--data", data)
    assert CliRunner().invoke(app, say).exit_code == 1  # nobody answers
    assert "0 events" in guardian(*say, "--call", "d")
    assert "nobody" in guardian(*say, "--endpoint", "nobody", error=NoSuchEndpoint)
    assert "1 events are given up" in guardian(*say, "--yes", "--endpoint", "file")
    assert "0 in all" in guardian("events", "dead", "--data", data)
    assert {row["name"]: row["pending"] for row in rows("events", "endpoints", "--data", data)} == {
        "file": 1, "gone": 3,
    }  # fmt: skip


def test_endpoints_are_shown_and_enabled(data):
    rows = [
        json.loads(line) for line in guardian("events", "endpoints", "--data", data, "--json").splitlines()
    ]
    states = {row["name"]: (row["pending"], row["dead"], row["configured"]) for row in rows}
    assert states == {"file": (1, 1, True), "gone": (3, 0, False)}
    table = guardian("events", "endpoints", "--data", data)
    assert "HTTP 410" in table
    assert "not in the settings" in table
    guardian("events", "enable", "file", "--data", data)
    assert "disabled" not in guardian("events", "endpoints", "--data", data)
    assert "nobody" in guardian("events", "enable", "nobody", "--data", data, error=NoSuchEndpoint)
    assert "gone" in guardian("events", "replay", "--data", data, "--endpoint", "gone", error=NoSuchEndpoint)


def test_schemas_are_written(tmp_path):
    guardian("events", "schemas", tmp_path / "schemas")
    made = json.loads((tmp_path / "schemas" / "violation.detected.v1.json").read_text())
    assert made["$id"] == "urn:guardian:event:violation.detected.v1"


def test_an_older_store_is_told_of_and_upgraded(tmp_path):
    database = Database(StoreConfig(tmp_path / "guardian.db"))
    upgrade(database, to="0001")
    database.close()
    asked = CliRunner().invoke(app, ["migrate", "--check", "--json", "--data", str(tmp_path)])
    assert asked.exit_code == 1
    assert json.loads(asked.output)["standing"] == "older"
    done = guardian("migrate", "--data", tmp_path)
    assert "from 0001 to 0002" in done
    assert "up to date" in guardian("migrate", "--check", "--data", tmp_path)
    assert "up to date" in guardian("migrate", "--data", tmp_path)


def test_a_store_that_is_in_use_or_not_there_is_said(tmp_path):
    assert "guardian serve" in guardian("migrate", "--check", "--data", tmp_path, error=Unavailable)
    assert list(tmp_path.iterdir()) == []
    lock = DataLock(tmp_path)
    assert "Another Guardian" in guardian("migrate", "--data", tmp_path, error=Unavailable)
    lock.close()

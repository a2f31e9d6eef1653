"""`guardian audit` and `guardian keys`, on a data folder without a server."""

import json
import sqlite3
import stat

import pytest
from typer.testing import CliRunner

from guardian.cli import app
from guardian.core.errors import ConfigError, GuardianError
from guardian.evidence.keyfile import EvidenceKeyFile
from guardian.store.database import StoreConfig
from guardian.store.evidence_changes import Doing
from guardian.store.evidence_tables import evidence
from guardian.store.lock import DataLock
from guardian.store.upgrade import open_store
from tests.evidence.estate import House

BY = Doing("key:acme/k_1", 1000.0)


@pytest.fixture
def data(tmp_path):
    return tmp_path / "data"


@pytest.fixture
def house(data):
    database = open_store(StoreConfig(data / "guardian.db"))
    yield House(database, data / "evidence", ring=EvidenceKeyFile(data / "evidence.key").create())
    database.close()


def run(*words, code=0):
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exit_code == code, (result.output, result.exception)
    return result.stdout


def verified(data, *words, code=0):
    return json.loads(run("audit", "verify", "--data", data, "--json", *words, code=code))


def test_a_folder_of_evidence_is_verified(house, data):
    ids = [house.keep(call_id=name) for name in "cde"]
    report = verified(data)
    assert (report["ok"], report["links"], report["clips"], report["files"], report["opened"]) == (
        True, 3, 3, 6, 6,
    )  # fmt: skip
    head = house.audit.head()
    assert report["head"] == head.digest
    assert verified(data, "--anchor", f"3:{head.digest}")["ok"]
    assert "Everything fits." in run("audit", "verify", "--data", data)
    path = next((data / "evidence").glob(f"{ids[1]}.media.*"))
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    broken = verified(data, code=1)
    assert [finding["about"] for finding in broken["findings"]] == [ids[1]]
    assert ids[1] in run("audit", "verify", "--data", data, code=1)


def test_a_row_changed_from_outside_is_named(house, data):
    one = house.keep()
    with sqlite3.connect(data / "guardian.db") as db:
        db.execute("UPDATE evidence SET merchant = 'm_innocent'")
    db.close()
    assert {finding["about"] for finding in verified(data, code=1)["findings"]} == {one}


def test_without_the_key_everything_but_opening_is_verified(house, data):
    house.keep()
    (data / "evidence.key").unlink()
    report = verified(data)
    assert (report["ok"], report["opened"]) == (True, None)


@pytest.mark.parametrize("anchor", ["7", "0:" + "a" * 64, "1:xyz"])
def test_what_is_no_anchor_is_wrong_usage(house, data, anchor):
    run("audit", "verify", "--data", data, "--anchor", anchor, code=2)


def test_a_folder_without_a_store_is_said(data):
    result = CliRunner().invoke(app, ["audit", "verify", "--data", str(data)])
    assert isinstance(result.exception, GuardianError)
    assert not data.exists()


def test_keys_are_rotated_and_the_old_one_is_destroyed(house, data):
    one = house.keep()
    before = house.store.key(one, "media")
    old = (data / "evidence.key").read_text()
    answer = json.loads(run("keys", "rotate", "--data", data, "--json"))
    after = house.store.key(one, "media")
    assert (answer["files"], answer["old_keys"], answer["key_id"]) == (2, [], after.key_id)
    assert after.key_id != before.key_id
    assert old.strip() not in (data / "evidence.key").read_text()
    assert stat.S_IMODE((data / "evidence.key").stat().st_mode) == 0o600
    report = verified(data)
    assert (report["ok"], report["opened"]) == (True, 2)
    assert json.loads(run("keys", "rotate", "--data", data, "--resume", "--json"))["files"] == 0


def test_beside_a_server_the_old_key_stays_until_its_calls_have_ended(house, data):
    one = house.keep()
    before = house.store.key(one, "media").key_id
    server = DataLock(data)
    answer = json.loads(run("keys", "rotate", "--data", data, "--json"))
    assert answer["old_keys"] == [before]
    late = house.keep(call_id="d")  # by a call that knows the old key only
    assert house.store.key(late, "media").key_id == before
    assert verified(data)["ok"]
    server.close()
    answer = json.loads(run("keys", "rotate", "--data", data, "--resume", "--json"))
    assert (answer["files"], answer["old_keys"]) == (2, [])
    assert verified(data)["opened"] == 4


def test_keys_init_makes_a_key_for_evidence_once(data):
    run("keys", "init", "--data", data)
    key = (data / "evidence.key").read_text()
    result = CliRunner().invoke(app, ["keys", "init", "--data", str(data)])
    assert isinstance(result.exception, ConfigError)
    assert (data / "evidence.key").read_text() == key
    (data / "evidence.key").unlink()
    assert "gk_" not in run("keys", "init", "--data", data)
    assert (data / "evidence.key").read_text() != key


def test_keys_init_makes_the_key_for_evidence_where_the_server_looks_for_it(data, tmp_path, monkeypatch):
    monkeypatch.setenv("GUARDIAN_DATA_DIR", str(data))
    monkeypatch.setenv("GUARDIAN_ACCESS__API_KEYS_FILE", str(tmp_path / "elsewhere" / "keys.json"))
    run("keys", "init")
    assert (data / "evidence.key").exists()
    assert [path.name for path in (tmp_path / "elsewhere").glob("*.key")] == []


def test_a_damaged_key_file_is_said(house, data):
    (data / "evidence.key").write_text("gek_nonsense\n")
    result = CliRunner().invoke(app, ["audit", "verify", "--data", str(data)])
    assert isinstance(result.exception, ConfigError)


def test_evidence_on_postgresql_is_verified_and_its_keys_rotated(postgres, data, monkeypatch):
    config = StoreConfig(data / "guardian.db", postgres.database())
    database = open_store(config)
    ring = EvidenceKeyFile(data / "evidence.key").create()
    house = House(database, data / "evidence", ring=ring)
    one, two = house.keep(), house.keep(call_id="d")
    monkeypatch.setenv("GUARDIAN_STORE__URL", config.url)
    report = verified(data)
    assert (report["ok"], report["clips"], report["opened"]) == (True, 2, 4)
    assert json.loads(run("keys", "rotate", "--data", data, "--json"))["files"] == 4
    house.keeper.erase(house.store.find(one, None), "asked for", BY).result(5)
    house.keeper.remove_files(float("inf"))
    report = verified(data)
    assert (report["ok"], report["erased"], report["opened"]) == (True, 1, 2)
    next((data / "evidence").glob(f"{two}.media.*")).unlink()
    assert [finding["about"] for finding in verified(data, code=1)["findings"]] == [two]
    database.close()


def test_a_damaged_store_is_said(house, data):
    for number in range(30):
        house.keep(call_id=f"c{number}")
    house.database.overwrite(evidence)
    path = data / "guardian.db"
    pages = bytearray(path.read_bytes())
    for at in range(4096 * 3, len(pages), 4096):
        pages[at : at + 100] = b"\xff" * 100
    path.write_bytes(pages)
    result = CliRunner().invoke(app, ["audit", "verify", "--data", str(data)])
    assert isinstance(result.exception, GuardianError)
    assert "damaged" in str(result.exception)

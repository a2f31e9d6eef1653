"""A disk that is full, read-only or damaged, and a clock that is set back: said plainly, and calls go on."""

import json
import os
import resource
import shutil
import signal
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from guardian.core.clock import SteadyClock
from guardian.core.delivery import Route
from guardian.core.errors import Unavailable
from guardian.store.database import Database, StoreConfig
from guardian.store.outbox import Entry, Outbox
from guardian.store.upgrade import open_store
from tests.chaos.running import admit, refused, serving, until
from tests.fakes.host import ANSWER

PAGE = 4096


def join(client, leg):
    """What a leg is answered with that joins."""
    headers = {"Authorization": f"Bearer {leg['token']}", "Content-Type": "application/sdp"}
    return client.post(leg["url"], content=ANSWER, headers=headers).status_code


def in_order(lines):
    """Whether whole events came one after the other, none left out."""
    numbers = [int(json.loads(line)["sequence"]) for line in lines.read_text().splitlines()]
    return list(dict.fromkeys(numbers)) == list(range(1, max(numbers) + 1))


def test_a_full_disk_is_said_calls_go_on_and_what_waited_is_written(tmp_path):
    with serving(tmp_path) as (process, client):
        leg = admit(client, "c").json()["legs"]["shopper"]
        # Nothing may grow any more: neither the store nor the file of events.
        before = resource.prlimit(process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (1, before[1]))
        until(lambda: client.get("/readyz").status_code == 503)
        said = client.get("/readyz").json()["detail"]
        assert "guardian.db" in said
        assert "disk" in said
        assert "Retry-After" in admit(client, "d").headers
        assert client.get("/livez").status_code == 200
        assert client.get("/v1/calls/c").json()["state"] == "warming"
        assert join(client, leg) == 201
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, before)
        until(lambda: client.get("/readyz").status_code == 200)
        assert client.post("/v1/calls/c/complaint").status_code == 202
        assert client.delete("/v1/calls/c").status_code == 204
        process.send_signal(signal.SIGTERM)
        process.wait(30)
    assert in_order(tmp_path / "data" / "events.jsonl")


@contextmanager
def read_only(process, strace, *files):
    """What the process writes to these files is refused, as on a disk that was made read-only."""
    calls = "write,pwrite64,ftruncate,fsync,fdatasync"
    where = [word for file in files for word in ("-P", file)]
    before = ["-f", "-qq", "-o", "/dev/null", "-p", str(process.pid), "-e", f"trace={calls}"]
    refuse = ["-e", f"inject={calls}:error=EROFS"]
    tracer = subprocess.Popen([strace, *before, *refuse, *where])
    try:
        yield
    finally:
        tracer.send_signal(signal.SIGINT)
        tracer.wait(20)


def test_a_disk_that_becomes_read_only_is_said_and_calls_go_on(tmp_path, need):
    strace = need("strace")
    store, lines = tmp_path / "data" / "guardian.db", tmp_path / "data" / "events.jsonl"
    with serving(tmp_path) as (process, client):
        leg = admit(client, "c").json()["legs"]["shopper"]
        until(lambda: lines.exists() and lines.read_bytes())
        with read_only(process, strace, store, f"{store}-wal", lines):
            until(lambda: client.get("/readyz").status_code == 503)
            said = client.get("/readyz").json()["detail"]
            assert str(store) in said
            assert "its disk fails" in said
            written = lines.read_bytes()
            assert written.endswith(b"\n")
            assert "Retry-After" in admit(client, "d").headers
            assert client.get("/livez").status_code == 200
            assert client.get("/v1/calls/c").json()["state"] == "warming"
            assert join(client, leg) == 201
            # What is not on the disk is told to nobody.
            assert lines.read_bytes() == written
        until(lambda: client.get("/readyz").status_code == 200)
        assert client.post("/v1/calls/c/complaint").status_code == 202
        assert client.delete("/v1/calls/c").status_code == 204
        process.send_signal(signal.SIGTERM)
        process.wait(30)
    assert in_order(lines)
    database = Database(StoreConfig(store))
    assert database.fault() is None
    database.close()


@pytest.mark.parametrize("what", ["folder", "file"])
def test_a_read_only_store_is_said_at_the_start(tmp_path, need, what):
    # Root writes whatever the rights say, unless it is denied that.
    before = [need("setpriv"), "--bounding-set=-dac_override"] if os.getuid() == 0 else []
    with serving(tmp_path) as (process, _):
        process.send_signal(signal.SIGTERM)
        process.wait(30)
    data = tmp_path / "data"
    place = data if what == "folder" else data / "guardian.db"
    (data / ".lock").chmod(0o400)
    place.chmod(0o500 if what == "folder" else 0o400)
    if what == "file":
        (data / ".lock").chmod(0o600)
    said = refused(tmp_path, *before)
    assert str(data) in said
    assert ("cannot be written" if what == "folder" else "read-only") in said


def damage(path):
    """Garbage in every page but the first, which says that it is a database."""
    for leftover in ("-wal", "-shm"):
        Path(f"{path}{leftover}").unlink(missing_ok=True)
    with path.open("r+b") as file:
        size = file.seek(0, os.SEEK_END)
        for page in range(PAGE, size, PAGE):
            file.seek(page)
            file.write(b"\xde\xad\xbe\xef" * (PAGE // 4))


def test_a_damaged_store_is_refused_at_the_start_and_left_as_it_is(tmp_path):
    with serving(tmp_path) as (process, client):
        admit(client, "c")
        process.send_signal(signal.SIGTERM)
        process.wait(30)
    store = tmp_path / "data" / "guardian.db"
    damage(store)
    found = store.read_bytes()
    said = refused(tmp_path)
    assert "damaged" in said
    assert str(store) in said
    assert store.read_bytes() == found


def test_a_page_that_is_damaged_while_it_is_in_use_shows_nothing_as_whole(tmp_path):
    config = StoreConfig(tmp_path / "guardian.db")
    database = open_store(config)
    outbox = Outbox(database, [Route("hook")])
    outbox.append([Entry("c", 1.0, lambda number: (f"c-{number}", b"x" * 3000))] * 50)
    database.close()
    whole = tmp_path / "copy.db"
    shutil.copy(config.file, whole)
    damage(config.file)
    broken = Database(config)
    outbox = Outbox(broken, [Route("hook")])
    for attempt in (
        lambda: outbox.look("hook", 2.0, 9),
        lambda: outbox.of_call("c", 0, 9),
        lambda: outbox.append([Entry("c", 1.0, lambda number: (f"c-{number}", b"x"))]),
    ):
        with pytest.raises(Unavailable, match="damaged"):
            attempt()
    broken.close()
    # A copy put in its place goes on where it was.
    shutil.copy(whole, config.file)
    mended = open_store(config)
    outbox = Outbox(mended, [Route("hook")])
    assert [due.event_id for due in outbox.look("hook", 2.0, 9).due] == ["c-1"]
    mended.close()


def test_half_a_transaction_is_never_seen(tmp_path):
    config = StoreConfig(tmp_path / "guardian.db")
    database = open_store(config)
    outbox = Outbox(database, [Route("hook")])
    outbox.append([Entry("c", 1.0, lambda number: (f"c-{number}", b"whole"))])
    database.close()
    other = open_store(config)
    Outbox(other, [Route("hook")]).append([Entry("c", 1.0, lambda number: (f"c-{number}", b"torn"))])
    # As a machine without power leaves it: the last write came half.
    broken = StoreConfig(tmp_path / "broken" / "guardian.db")
    broken.file.parent.mkdir()
    shutil.copy(config.file, broken.file)
    log = Path(f"{config.file}-wal").read_bytes()
    Path(f"{broken.file}-wal").write_bytes(log[:-100])
    other.close()
    again = open_store(broken)
    outbox = Outbox(again, [Route("hook")])
    assert [kept.body for kept in outbox.of_call("c", 0, 9)] == [b"whole"]
    assert [due.sequence for due in outbox.look("hook", 2.0, 9).due] == [1]
    again.close()


def test_setting_the_clock_back_moves_nothing(monkeypatch):
    clock = SteadyClock()
    before = clock()
    wall = time.time
    monkeypatch.setattr(time, "time", lambda: wall() - 86400)
    assert before <= clock() < before + 60

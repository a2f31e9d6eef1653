"""Two servers with one store of PostgreSQL: one of them delivers, whatever happens to its connections."""

import json
import signal
import subprocess
import sys
from collections import defaultdict
from contextlib import ExitStack, contextmanager

import pytest
import sqlalchemy as sa

from guardian.core.audit import broken
from guardian.core.errors import Unavailable
from guardian.store.audit import AuditLog
from guardian.store.database import Database, StoreConfig
from guardian.store.schema import sequences
from tests.chaos.running import ENV, ROOT, admit, serving, until
from tests.servers import free_port

SECRET = "whsec_" + "a2V5" * 10
WAIT_S = 150.0
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


class Pair:
    """Two servers that share a store, and whoever they tell."""

    def __init__(self, folder, url):
        self.folder = folder
        self.database = Database(StoreConfig(folder / "unused.db", url))
        self.taken = folder / "taken.jsonl"
        port = free_port()
        (folder / "secret").write_text(SECRET)
        (folder / "mood").write_text("fine")
        words = [str(port), SECRET, self.taken, folder / "mood"]
        self.receiver = subprocess.Popen([sys.executable, ROOT / "tests/chaos/taking.py", *words])
        self.servers = {name: self._start(name, url, port) for name in ("a", "b")}

    def _start(self, name, url, port):
        own = self.folder / name
        own.mkdir()
        (own / "guardian.toml").write_text(
            f"data_dir = {json.dumps(str(own))}\n[store]\nurl = {json.dumps(url)}\n"
            f"[events]\nfile = ''\nretry_s = {[0.2] * 100}\n"
            "[[events.webhooks]]\nname = 'hook'\nallow_private = true\n"
            f"url = 'http://127.0.0.1:{port}/hook'\n"
            f"secret = {{ file = {json.dumps(str(self.folder / 'secret'))} }}\n",
            encoding="utf-8",
        )
        with (own / "said").open("wb") as said, (own / "log").open("wb") as log:
            command = [sys.executable, "-m", "tests.chaos.sharing", own / "guardian.toml", name]
            return subprocess.Popen(command, cwd=ROOT, env=ENV, stdout=said, stderr=log)

    def leaders(self):
        """Those that have ever begun to deliver."""
        return {name for name in self.servers if (self.folder / name / "said").read_bytes()}

    def arrived(self):
        """call -> sequence numbers in the order in which they arrived."""
        found = defaultdict(list)
        for line in self.taken.read_bytes().splitlines() if self.taken.exists() else ():
            event = json.loads(line)
            found[event["source"].rpartition("/")[2]].append(int(event["sequence"]))
        return found

    def kept(self):
        """call -> how many of its events are in the store."""
        with self.database.reading() as db:
            return {row.call_id: row.last for row in db.execute(sequences.select())}

    def close(self):
        for process in (*self.servers.values(), self.receiver):
            process.kill()
            process.wait(20)
        self.database.close()


def calls(name):
    return [f"{name}-{number}" for number in range(3)]


@pytest.fixture
def pair(postgres, tmp_path):
    with ExitStack() as undo:
        both = Pair(tmp_path, postgres.made_store())
        undo.callback(both.close)
        yield both


def more_of(pair, names, than):
    arrived = pair.arrived()
    return all(len(arrived[call]) > than.get(call, 0) + 2 for name in names for call in calls(name))


@pytest.mark.timeout(600)
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
def test_one_delivers_for_both_and_the_other_one_when_it_is_gone(pair, how):
    until(lambda: more_of(pair, "ab", {}), WAIT_S)
    (first,) = pair.leaders()
    for call, numbers in pair.arrived().items():
        assert numbers == list(range(1, len(numbers) + 1)), call
    pair.servers[first].send_signal(how)
    (other,) = set(pair.servers) - {first}
    until(lambda: other in pair.leaders(), WAIT_S)
    before = {call: len(numbers) for call, numbers in pair.arrived().items()}
    until(lambda: more_of(pair, other, before), WAIT_S)
    # One that wakes up delivers nothing any more, but what it has raised.
    pair.servers[first].send_signal(signal.SIGCONT)
    for name in pair.servers:
        (pair.folder / name / "enough").touch()

    def all_has_arrived():
        arrived = pair.arrived()
        return all(set(arrived[call]) == set(range(1, last + 1)) for call, last in pair.kept().items())

    until(all_has_arrived, WAIT_S)
    for call, numbers in pair.arrived().items():
        # What was under way may come once more; the first time is in order.
        assert list(dict.fromkeys(numbers)) == sorted(set(numbers)), call
    links = list(AuditLog(pair.database).links())
    assert not list(broken(links))
    assert len(links) == sum(pair.kept().values())

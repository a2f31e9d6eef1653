"""A server that is killed at any moment leaves nothing that does not fit, and nothing half-written."""

import multiprocessing
import os
import random
import signal
import time

from guardian.core.evidence import ReviewState
from guardian.events.ulid import ulid
from guardian.evidence.keyfile import EvidenceKeyFile
from guardian.evidence.sealing import Sealer
from guardian.evidence_keys import seal_anew
from guardian.store.database import StoreConfig
from guardian.store.evidence_changes import Doing
from guardian.store.upgrade import open_store
from tests.evidence.estate import House

ROUNDS = 10
BY = Doing("key:acme/k_1", 1000.0)


def work(folder, seed, at_work):
    """Keeps, erases, reviews, sweeps and changes keys until somebody kills it."""
    dice = random.Random(seed)
    file = EvidenceKeyFile(folder / "evidence.key")
    house = House(open_store(StoreConfig(folder / "guardian.db")), folder / "evidence", ring=file.ring())
    ids = []
    while True:
        ids.append(house.keep(os.urandom(dice.randrange(200_000)), call_id=f"c{len(ids)}"))
        at_work.set()
        house.ring = file.ring()
        record = house.store.find(dice.choice(ids), None)
        match dice.randrange(6):
            case 0 if record.erased_at is None:
                house.keeper.erase(record, "asked for", BY).result(5)
                house.keeper.remove_files(float("inf"))
            case 1 if record.erased_at is None and record.review == ReviewState.UNREVIEWED:
                change = {"review": "dismissed", "until": time.time() - 1, "reason": "x"}
                house.store.review(record, change, BY)
            case 2:
                house.sweep()
            case 3:
                house.ring = file.rotate(time.time())
                seal_anew(house.store, house.ring, BY)
            case 4:
                sealer = Sealer(house.clips, house.ring.sealing)
                writer = sealer.begin(f"ev_{ulid()}", "media", "video/webm")
                writer.write(os.urandom(100_000))
                writer.abandon()


def test_killed_ten_times_everything_fits(tmp_path):
    dice = random.Random(7)
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload([__name__])
    EvidenceKeyFile(tmp_path / "evidence.key").create()
    open_store(StoreConfig(tmp_path / "guardian.db")).close()
    for number in range(ROUNDS):
        at_work = processes.Event()
        child = processes.Process(target=work, args=(tmp_path, number, at_work))
        child.start()
        assert at_work.wait(30)
        time.sleep(dice.uniform(0.0, 0.5))
        os.kill(child.pid, signal.SIGKILL)
        child.join(10)
        database = open_store(StoreConfig(tmp_path / "guardian.db"))
        ring = EvidenceKeyFile(tmp_path / "evidence.key").ring()
        house = House(database, tmp_path / "evidence", ring=ring)
        house.keeper.begin()
        report = house.verify(grace_s=60.0)
        assert report.findings == [one for one in report.findings if not one.fatal]
        assert not list(house.folder.glob("*.partial"))
        house.sweep()
        assert house.faults() == []
        database.close()
    assert report.links >= ROUNDS

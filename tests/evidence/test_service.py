"""What a server does with evidence beside its calls: starting, taking clips, changing keys."""

import asyncio
import json
import os
import threading
import time
from dataclasses import replace

import pytest

from guardian import evidence_service
from guardian.core.calls import CallEvent, CallEventType
from guardian.core.config import WorkConfig
from guardian.core.errors import ConfigError, Unavailable
from guardian.evidence.keyfile import EvidenceKeyFile
from guardian.evidence.keys import SealingKey
from guardian.evidence.sealing import Sealer
from guardian.evidence_keeper import EvidenceKeeper
from guardian.evidence_service import EvidenceService
from guardian.settings import Settings
from guardian.store.database import StoreConfig
from guardian.store.evidence import EvidenceStore
from guardian.store.evidence_tables import evidence, evidence_keys
from guardian.store.upgrade import open_store
from guardian.telemetry.metrics import Metrics
from guardian.tenure import Alone
from tests.chaos.running import until
from tests.evidence.estate import DAY_S, House, ready, spec, write_clip


@pytest.fixture
def house(tmp_path):
    database = open_store(StoreConfig(tmp_path / "guardian.db"))
    yield House(database, tmp_path / "evidence", ring=EvidenceKeyFile(tmp_path / "evidence.key").create())
    database.close()


def service(house, tell=None, **evidence):
    settings = Settings(data_dir=str(house.folder.parent), evidence=evidence)
    metrics = Metrics()
    return EvidenceService(settings, house.database, metrics, tell or house._tell), metrics


def counted(metrics, outcome):
    line = f'guardian_evidence_clips_total{{outcome="{outcome}"}} 1.0'
    return line in metrics.render()[0].decode()


def test_calls_get_the_public_half_and_the_folder(house):
    made, _ = service(house)
    evidence = made.equipped(WorkConfig()).evidence
    assert evidence.folder == str(house.folder)
    assert SealingKey.from_text(evidence.public_key) == house.ring.sealing
    assert "gek_" not in json.dumps(evidence.public_key)


def test_without_a_key_nothing_is_kept(house):
    (house.folder.parent / "evidence.key").unlink()
    made, _ = service(house)
    made.begin()
    assert made.equipped(WorkConfig()) == WorkConfig()


def test_a_damaged_key_ends_the_start_with_a_sentence(house):
    (house.folder.parent / "evidence.key").write_text("nothing")
    with pytest.raises(ConfigError):
        service(house)


def test_keys_may_come_from_the_environment(house, monkeypatch):
    monkeypatch.setenv("EVIDENCE_KEY", (house.folder.parent / "evidence.key").read_text())
    (house.folder.parent / "evidence.key").unlink()
    made, _ = service(house, keys=[{"env": "EVIDENCE_KEY"}])
    assert made.equipped(WorkConfig()).evidence.public_key == house.ring.sealing.text


def test_a_start_after_a_rotation_destroys_the_old_key(house):
    one = house.keep()
    file = EvidenceKeyFile(house.folder.parent / "evidence.key")
    house.ring = file.rotate(1000.0)
    assert len(house.ring.ids) == 2
    made, _ = service(house)
    made.begin()
    house.ring = EvidenceKeyFile(file.path).ring()
    assert house.ring.ids == (house.store.key(one, "media").key_id,)
    assert house.verify().opened == 2
    assert house.faults() == []


def test_a_start_destroys_no_key_that_its_calls_seal_to(house):
    made, _ = service(house)
    file = EvidenceKeyFile(house.folder.parent / "evidence.key")
    file.rotate(1000.0)  # Meanwhile.
    made.begin()
    house.ring = EvidenceKeyFile(file.path).ring()
    assert len(house.ring.ids) == 2
    sealing = SealingKey.from_text(made.equipped(WorkConfig()).evidence.public_key)
    assert house.ring.unwrap(sealing.id, sealing.wrap(bytes(32), "x"), "x") == bytes(32)


def test_a_start_keeps_old_keys_while_a_clip_cannot_be_opened(house):
    house.keep()
    with house.tampering() as db:
        db.execute(evidence_keys.update().values(wrapped="AAAA"))
    file = EvidenceKeyFile(house.folder.parent / "evidence.key")
    file.rotate(1000.0)
    made, _ = service(house)
    made.begin()
    assert len(EvidenceKeyFile(file.path).ring().ids) == 2


def test_a_start_leaves_keys_alone_while_somebody_changes_them(house, monkeypatch):
    monkeypatch.setattr(evidence_service, "_KEYS_S", 0.0)
    file = EvidenceKeyFile(house.folder.parent / "evidence.key")
    file.rotate(1000.0)
    made, _ = service(house)
    with EvidenceKeyFile(file.path).changing(0.0):
        made.begin()
        assert len(EvidenceKeyFile(file.path).ring().ids) == 2
    made.begin()
    assert len(EvidenceKeyFile(file.path).ring().ids) == 1


class Following(Alone):
    """Of a server beside another one that leads."""

    shared = True

    def leads(self):
        return False


def test_a_start_beside_other_servers_leaves_what_they_write_and_seal_to(house):
    draft = house.clips.create("ev_1.media")
    draft.write(b"half of it")
    file = EvidenceKeyFile(house.folder.parent / "evidence.key")
    file.rotate(1000.0)
    made, _ = service(house)
    asyncio.run(made.start(Following()))
    draft.commit()
    assert [name for name, _ in house.clips.files()] == ["ev_1.media"]
    assert len(EvidenceKeyFile(file.path).ring().ids) == 2


def test_who_does_not_lead_removes_only_what_it_has_refused_itself(house, monkeypatch):
    one, wall = house.keep(), time.time
    monkeypatch.setattr(time, "time", lambda: wall() + 31 * DAY_S)
    made, _ = service(house, sweep_s=1.0)
    late = write_clip(Sealer(house.clips, house.ring.sealing), {"media": b"too late"})
    made.take(replace(spec(), scopes=frozenset()), ready(late))

    def of(evidence_id):
        return [name for name, _ in house.clips.files() if name.startswith(evidence_id)]

    async def scenario():
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(made.run(Following()))
            await asyncio.to_thread(until, lambda: not of(late.evidence_id))
            running.cancel()

    asyncio.run(scenario())
    assert of(one)
    assert house.store.find(one, None).part_keys


def test_what_is_no_clip_is_counted_and_ends_nothing(house):
    made, metrics = service(house)
    made.take(spec(), CallEvent("c", CallEventType.EVIDENCE_READY, "", 0.0, {"clip": {"evidence_id": "x"}}))
    assert counted(metrics, "lost")


def test_a_clip_that_the_store_refuses_is_counted_as_lost(house):
    def full(*_):
        raise Unavailable("The store is full.")

    clip = write_clip(Sealer(house.clips, house.ring.sealing), {"media": b"x"})
    made, metrics = service(house, full)
    made.take(spec(), ready(clip))
    assert counted(metrics, "lost")


def test_a_store_that_refuses_lets_the_server_start(house, monkeypatch):
    def readonly(*_):
        raise Unavailable("The store is read-only.")

    house.keep()
    EvidenceKeyFile(house.folder.parent / "evidence.key").rotate(1000.0)
    monkeypatch.setattr(EvidenceStore, "rewrapped", readonly)
    made, _ = service(house)
    made.begin()
    assert len(EvidenceKeyFile(house.folder.parent / "evidence.key").ring().ids) == 2


def test_whatever_a_sweep_raises_the_server_goes_on(house, monkeypatch):
    def odd(*_):
        raise ValueError("whatever stands in a row")

    made, _ = service(house, sweep_s=1.0)
    for name in ("expire", "clear_strays", "begin"):
        monkeypatch.setattr(EvidenceKeeper, name, odd)
    made.begin()

    async def scenario():
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(made.run(Alone()))
            await asyncio.wait([running], timeout=0.3)
            assert not running.done()
            running.cancel()

    asyncio.run(scenario())


def test_beside_a_folder_that_hangs_what_expires_is_erased(house, monkeypatch):
    monkeypatch.setattr(evidence_service, "_BEGIN_S", 0.05)
    one, wall = house.keep(), time.time
    monkeypatch.setattr(time, "time", lambda: wall() + 31 * DAY_S)
    hung, begun = threading.Event(), []

    def hang(*_):
        begun.append(1)
        assert hung.wait(30)

    made, metrics = service(house, sweep_s=1.0)
    monkeypatch.setattr(EvidenceKeeper, "begin", hang)

    def overdue():
        return metrics.clips_overdue.collect()[0].samples[0].value

    async def scenario():
        await made.start(Alone())
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(made.run(Alone()))
            await asyncio.to_thread(until, lambda: overdue() == 1.0)
            assert house.store.find(one, None).part_keys == ()
            assert list(house.clips.files())
            hung.set()
            await asyncio.to_thread(until, lambda: not list(house.clips.files()))
            await asyncio.to_thread(until, lambda: overdue() == 0.0)
            running.cancel()

    asyncio.run(scenario())
    assert len(begun) == 1


def test_a_damaged_page_of_the_store_is_a_sentence(house):
    for number in range(50):
        house.keep(call_id=f"c{number}")
    house.database.overwrite(evidence)
    path = house.folder.parent / "guardian.db"
    data = bytearray(path.read_bytes())
    for page in range(4096 * 4, len(data), 4096):
        data[page : page + 200] = os.urandom(200)
    path.write_bytes(data)
    with pytest.raises(Unavailable, match="damaged"):
        open_store(StoreConfig(path))

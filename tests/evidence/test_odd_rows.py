"""Rows that somebody has written into: SQLite keeps anything anywhere, text that is no UTF-8 too.

Each is named, none ends a list, a sweep or the check, and what has expired goes all the same.
"""

import json
import sqlite3
import time
from contextlib import closing, suppress

import pytest
import sqlalchemy as sa

from guardian.core.audit import Principal
from guardian.core.errors import Unavailable
from guardian.core.evidence import Hold
from guardian.core.evidence_desk import ClipSearch
from guardian.evidence_desk import DeskParts, ServerEvidence
from guardian.evidence_keys import seal_anew
from guardian.store import evidence as store_of_evidence
from guardian.store.case_forgetting import CaseForgetting
from guardian.store.database import StoreConfig
from guardian.store.evidence import Search
from guardian.store.evidence_changes import Doing
from guardian.store.evidence_links import EvidenceLinks
from guardian.store.evidence_tables import audit, clock, evidence, evidence_holds, evidence_keys
from guardian.store.participants import NamedEvents
from guardian.store.upgrade import open_store
from tests.evidence.estate import DAY_S, House

WHO = Principal("acme", "key", "k_1")
VALUES = (
    "CAST(x'6576fe80' AS TEXT)",  # no UTF-8
    "CAST(x'eda080' AS TEXT)",  # half of a character
    "x'00ff'",
    "'odd'",
    "-1e300",
)
UNTOLD = {"parts", "files", "erased_why"}
"""What nothing is judged by."""


@pytest.fixture
def house(tmp_path):
    database = open_store(StoreConfig(tmp_path / "guardian.db"))
    yield House(database, tmp_path / "evidence")
    database.close()


@pytest.fixture
def desk(house):
    parts = (EvidenceLinks(house.database), house.audit, NamedEvents(house.database), lambda: house.ring)
    return ServerEvidence(DeskParts(house.keeper, *parts, 60.0, CaseForgetting(house.database)))


def write(house, table, column, value, where="1"):
    """As somebody does with a program of their own, which holds no key to lead somewhere."""
    with closing(sqlite3.connect(house.folder.parent / "guardian.db")) as db:
        db.execute(f"UPDATE {table.name} SET {column} = {value} WHERE {where}")
        db.commit()


def listed(desk):
    found = desk.search(WHO, ClipSearch()) + desk.search(Principal("odd", "key", "k"), ClipSearch())
    json.dumps(found, ensure_ascii=False).encode()
    return found


@pytest.mark.parametrize("column", evidence.columns.keys())
def test_rows_are_named_and_listed_and_end_no_sweep(house, desk, monkeypatch, column):
    good, *bad = (house.keep(call_id=f"c{number}") for number in range(len(VALUES) + 1))
    for one, value in zip(bad, VALUES, strict=True):
        write(house, evidence, column, value, f"id = '{one}'")
    found = {about for about, _ in house.faults(now=0.0)}
    assert good not in found
    assert found >= set(bad) or column in UNTOLD
    assert len(listed(desk)) == (2 if column == "tenant" else 1 + len(bad))
    wall = time.time
    monkeypatch.setattr(time, "time", lambda: wall() + 31 * DAY_S)
    house.sweep()
    assert good not in {name.partition(".")[0] for name, _ in house.clips.files()}
    if column not in ("id", "erased_at"):
        with house.database.reading() as db:
            assert db.execute(sa.select(evidence_keys)).all() == []


@pytest.mark.parametrize(
    ("table", "column"),
    [(table, column.name) for table in (evidence_keys, evidence_holds, audit) for column in table.columns],
    ids=lambda each: getattr(each, "name", each),
)
def test_what_belongs_to_rows_is_named_too(house, desk, table, column):
    clips = [house.keep(call_id=f"c{number}") for number in range(len(VALUES))]
    doing = Doing("key:acme/k", house.keeper.now())
    for clip in clips:
        house.store.hold(clip, Hold("legal", "case 7", doing.now + DAY_S), doing)
    for number, value in enumerate(VALUES, 1):
        write(house, table, column, value, f"{'sequence' if table is audit else 'rowid'} = {number}")
    found = " ".join(about for about, _ in house.faults())
    assert "link" in found if table is audit else set(found.split()) <= set(clips)
    assert len(listed(desk)) == len(clips)
    json.dumps([desk.show(WHO, clip) for clip in clips], ensure_ascii=False).encode()
    with suppress(Unavailable):  # An old key is not here.
        seal_anew(house.store, house.ring, doing)
    house.sweep()
    assert house.keep(call_id="e")


def test_a_time_last_seen_that_is_none_stops_no_clock(house):
    one = house.keep()
    house.sweep()
    for value in VALUES:
        write(house, clock, "seen", value)
        house.keeper_again().begin()
        house.sweep()
    assert house.store.find(one, "acme").erased_at is None
    assert house.faults() == []


@pytest.mark.parametrize("ends", ["'odd'", "x'ff'"])
def test_a_clip_whose_row_has_lost_its_end_is_kept_as_long_as_the_chain_says(house, monkeypatch, ends):
    one = house.keep()
    write(house, evidence, "retain_until", ends)
    assert house.faults() == [(one, "Its row was changed: retain_until holds no time.")]
    assert house.sweep().erased == 0
    wall = time.time
    monkeypatch.setattr(time, "time", lambda: wall() + 31 * DAY_S)
    assert house.sweep().erased == 1
    assert list(house.clips.files()) == []


@pytest.mark.parametrize("first", ["e", "ev_", "ev_0", "zz"])
def test_ids_that_are_none_come_once_each_wherever_they_stand(house, monkeypatch, first):
    monkeypatch.setattr(store_of_evidence, "_PAGE", 2)
    ids = [house.keep(call_id=f"c{number}") for number in range(7)]
    for number in (2, 3, 4):
        odd = (first.encode() + bytes([0xFF, 0x80 + number])).hex()
        write(house, evidence, "id", f"CAST(x'{odd}' AS TEXT)", f"id = '{ids[number]}'")
    found = [record.id for record in house.store.every(Search(limit=2))]
    assert len(found) == len(set(found)) == 7
    assert {*ids[:2], *ids[5:]} <= set(found)

"""What is kept, erased and forgotten; on both engines."""

import re
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from guardian.core.audit import CLOCK, Act, Entry, broken
from guardian.core.errors import EvidenceGone, EvidenceKept, NoSuchEvidence, StoreFault
from guardian.core.evidence import Hold, KeptLink, ReviewState
from guardian.store.audit import AuditLog
from guardian.store.evidence import EvidenceStore, Search
from guardian.store.evidence_changes import Doing
from guardian.store.evidence_links import EvidenceLinks
from guardian.store.evidence_tables import audit, evidence, evidence_holds, evidence_keys
from tests.evidence.estate import DAY_S, House

BY = Doing("key:acme/k_1", 1000.0)


@pytest.fixture
def house(database, tmp_path):
    return House(database, tmp_path / "evidence")


def test_a_clip_is_found_by_its_tenant_only(house):
    one = house.keep()
    assert house.store.find(one, "acme").participants == {"shopper": "u_1", "merchant": "m_1"}
    with pytest.raises(NoSuchEvidence):
        house.store.find(one, "rival")
    assert house.store.search(Search(tenant="rival")) == ()


def test_clips_are_found_by_either_participant(house):
    first, second = house.keep(), house.keep(call_id="d", shopper="u_2")
    assert [clip.id for clip in house.store.search(Search(participant="m_1"))] == [first, second]
    assert [clip.id for clip in house.store.search(Search(participant="u_2"))] == [second]
    assert [clip.id for clip in house.store.search(Search(call_id="c"))] == [first]
    assert [clip.id for clip in house.store.search(Search(after=first))] == [second]


def test_the_same_clip_is_not_kept_twice(house):
    one = house.keep()
    with pytest.raises(StoreFault), house.database.writing() as db:
        db.execute(evidence.insert().from_select(["id"], sa.select(sa.literal(one))))
    assert house.verify().ok


def test_links_have_no_gaps_whoever_writes(house):
    log = house.audit
    with ThreadPoolExecutor(4) as pool:
        entries = [Entry(Act.EXPORTED, f"r{i}", "a", "2026-11-21T09:00:00.000Z", {"i": i}) for i in range(20)]
        made = list(pool.map(log.append, entries))
    links = list(AuditLog(house.database).links())
    assert sorted(link.sequence for link in made) == [link.sequence for link in links] == list(range(1, 21))
    assert not list(broken(links))
    assert log.head() == links[-1]


def test_erasing_destroys_the_key_and_leaves_the_row(house):
    one = house.keep()
    house.keeper.erase(house.store.find(one, None), "asked for", BY).result(5)
    with pytest.raises(NoSuchEvidence):
        house.store.key(one, "media")
    record = house.store.find(one, "acme")
    assert (record.erased_at, record.erased_why, record.part_keys) == (1000.0, "asked for", ())
    again = house.keeper.erase(record, "asked for", BY)
    with pytest.raises(EvidenceGone):
        again.result(5)
    assert [event.type.value for _, event in house.told] == ["evidence.ready", "evidence.deleted"]


def test_a_hold_stops_erasing_until_its_end(house):
    one = house.keep()
    record = house.store.find(one, None)
    end = record.retain_until
    house.store.hold(one, Hold("legal", "case 7", end + DAY_S), BY)
    assert house.store.expired(end + 1, 10) == ()
    assert not house.store.find(one, None).expired(end + 1)
    (found,) = house.store.expired(end + DAY_S, 10)
    assert found.id == one
    house.store.hold(one, None, BY)
    assert [clip.id for clip in house.store.expired(end + 1, 10)] == [one]
    assert house.faults(now=0.0) == []


def test_a_hold_or_more_time_set_in_the_last_moment_keeps_a_clip(house):
    held, confirmed = house.keep(), house.keep(call_id="d")
    end = house.store.find(held, None).retain_until + 1
    late = Doing("guardian:-/clock", end)
    expired = house.store.expired(end, 10)
    house.store.hold(held, Hold("legal", "case 7", end + DAY_S), BY)
    change = {"review": "confirmed", "until": end + DAY_S, "reason": "x"}
    house.store.review(house.store.find(confirmed, None), change, BY)
    outcomes = {record.id: house.keeper.erase(record, "expired", late) for record in expired}
    assert type(outcomes[held].exception(5)) is EvidenceKept
    assert type(outcomes[confirmed].exception(5)) is EvidenceGone
    assert all(house.store.find(one, None).part_keys for one in (held, confirmed))
    assert house.faults(now=0.0) == []


def test_of_two_who_review_at_once_one_is_told(house):
    one = house.keep()
    record = house.store.find(one, None)
    change = {"review": ReviewState.DISMISSED.value, "until": 5.0, "reason": "false_positive"}
    house.store.review(record, change, BY)
    with pytest.raises(NoSuchEvidence, match="in the meantime"):
        house.store.review(record, {**change, "review": "confirmed"}, BY)


def test_a_link_opens_once_whoever_is_quicker(house):
    one = house.keep()
    links = EvidenceLinks(house.database)
    links.make("d" * 64, KeptLink(one, "media", BY.actor, 1060.0, ""), 1000.0)
    gate, opened = threading.Barrier(4), []

    def go(number):
        gate.wait(10)
        try:
            opened.append(links.open("d" * 64, f"s{number}", 1001.0))
        except EvidenceGone:
            return

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(go, range(4)))
    assert [link.act for link in opened] == [Act.PLAYED]
    assert [link.act for link in house.audit.of(one)] == [Act.KEPT, Act.PLAYED]
    with pytest.raises(NoSuchEvidence):
        links.find("d" * 64, "key:acme/k_2")


def test_the_latest_time_seen_never_goes_back(house):
    assert house.store.seen(2000.0) == 2000.0
    assert house.store.seen(1000.0) == 2000.0
    assert EvidenceStore(house.database).last_seen() == 2000.0


def test_what_is_forgotten_names_nobody(house):
    one = house.keep(shopper="u_secret", call_id="call-secret")
    house.keeper.erase(house.store.find(one, None), "participant", BY).result(5)
    house.store.forget([one], BY)
    record = house.store.find(one, "acme")
    assert (record.participants, record.facts, record.call_id) == ({}, {}, "")
    with house.database.reading() as db:
        rows = [str(tuple(row)) for table in (evidence, audit) for row in db.execute(sa.select(table))]
    assert not any("secret" in row for row in rows)
    house.keeper.remove_files(float("inf"))
    assert house.verify().ok


def test_keys_sealed_anew_do_not_bring_back_what_was_destroyed(house):
    one = house.keep()
    old = house.store.keys_besides("kek_new", ("", ""), 10)
    house.keeper.erase(house.store.find(one, None), "asked for", BY).result(5)
    assert len(old) == 2
    assert house.store.rewrapped(old, old, BY) == 0
    with house.database.reading() as db:
        assert db.execute(sa.select(evidence_keys)).all() == []


def edit(table, **values):
    return lambda db: db.execute(table.update().values(**values))


@pytest.mark.parametrize(
    ("what", "change"),
    [
        ("facts", edit(evidence, facts='{"call":{}}')),
        ("call or participants", edit(evidence, merchant="m_innocent")),
        ("call or participants", edit(evidence, call_id="another")),
        ("people have said unreviewed", edit(evidence, review="dismissed")),
        ("is kept until", edit(evidence, retain_until=9e9)),
        ("knows of no erasing", edit(evidence, erased_at=5.0)),
        ("legal hold is not", lambda db: db.execute(evidence_holds.delete())),
        ("legal hold is not", edit(evidence_holds, until=9e9)),
        ("its key is gone|key of", lambda db: db.execute(evidence_keys.delete())),
        ("cannot be opened", edit(evidence_keys, wrapped="AAAA")),
        ("its row is gone", lambda db: _wipe(db)),
    ],
)
def test_a_changed_row_is_named(house, what, change):
    one = house.keep()
    house.store.hold(one, Hold("legal", "case 7", house.keeper.now() + DAY_S), Doing("key:acme/k", 1.0))
    assert house.faults() == []
    with house.tampering() as db:
        change(db)
    found = house.faults()
    assert {about for about, _ in found} == {one}
    assert any(re.search(what, detail, re.IGNORECASE) for _, detail in found), found


def _wipe(db):
    for table in (evidence_keys, evidence_holds, evidence):
        db.execute(table.delete())


@pytest.mark.parametrize("column", ["act", "subject", "actor", "at", "body", "digest"])
def test_a_changed_link_is_named(house, column):
    for _ in range(3):
        house.keep()
    with house.tampering() as db:
        db.execute(audit.update().where(audit.c.sequence == 2).values({column: '{"x":1}'}))
    found = [about for about, _ in house.faults()]
    assert found[0] == ("link 3" if column == "digest" else "link 2") or "link 2" in found


def test_a_link_that_was_taken_out_is_named(house):
    for _ in range(3):
        house.keep()
    with house.tampering() as db:
        db.execute(audit.delete().where(audit.c.sequence == 2))
    assert any(about == "link 3" and "(2) is gone" in detail for about, detail in house.faults())


def test_a_chain_written_anew_does_not_fit_what_others_have_seen(house):
    from guardian.core.audit import GENESIS, link
    from guardian.evidence.verify import Anchor

    house.keep()
    seen = house.audit.head()
    anchor = Anchor(seen.sequence, seen.digest)
    assert house.faults(anchor=anchor) == []
    with house.tampering() as db:
        forged = link(GENESIS, 1, Entry(Act.KEPT, seen.subject, "someone", seen.at, {"facts": "x"}))
        db.execute(audit.update().values(actor=forged.actor, body=forged.body, digest=forged.digest))
    assert any("another digest" in detail for _, detail in house.faults(anchor=anchor))
    with house.tampering() as db:
        db.execute(audit.delete())
    assert any("ends sooner" in detail for _, detail in house.faults(anchor=anchor))


def test_the_clock_is_a_principal_too():
    assert CLOCK.text == "guardian:-/clock"

"""Events that name somebody, on both engines."""

import json

import pytest

from guardian.core.delivery import About, Fate, Life, Outcome, Route
from guardian.store.outbox import Entry, Outbox
from guardian.store.participants import Named, NamedEvents

EVENTS = [
    ("c", "acme", "merchant/m_1", "m_1"),
    ("c", "acme", "call/c", None),
    ("c", "acme", "shopper/u_1", "u_1"),
    ("d", "acme", "merchant/m_11", "m_11"),
    ("e", "rival", "merchant/m_1", "m_1"),
    ("f", "acme", "merchant/商家/1", "商家/1"),
]


def entry(call_id, tenant, subject, participant, ascii_only=True):
    def seal(sequence):
        data = {"actor": {"participant_id": participant}} if participant else {}
        body = {"id": f"{call_id}-{sequence}", "subject": subject, "data": data}
        return body["id"], json.dumps(body, ensure_ascii=ascii_only).encode()

    return Entry(call_id, 100.0, seal, About(tenant=tenant, life=Life.ENDED))


@pytest.fixture
def outbox(database):
    outbox = Outbox(database, [Route("file")])
    outbox.append([entry(*event) for event in EVENTS])
    return outbox


def ids(bodies):
    return [json.loads(body)["id"] for body in bodies]


def test_events_are_found_by_whom_they_name_in_one_tenant(database, outbox):
    named = NamedEvents(database)
    assert ids(named.of(Named("acme", "m_1"))) == ["c-1"]
    assert ids(named.of(Named("acme", "商家/1"))) == ["f-1"]
    assert ids(named.of(Named("rival", "m_1"))) == ["e-1"]
    assert ids(named.of(Named("acme", '"'))) == []
    outbox.append([entry("g", "acme", "merchant/商家/1", None, ascii_only=False)])
    assert ids(named.of(Named("acme", "商家/1"))) == ["f-1", "g-1"]


def test_events_are_forgotten_once_nobody_is_owed_them(database, outbox):
    named = NamedEvents(database)
    assert named.forget(Named("acme", "m_1")) == (0, 1)
    outbox.record([Outcome("file", "c-1", "c", Fate.DONE, 101.0)])
    assert named.forget(Named("acme", "m_1")) == (1, 0)
    assert ids(named.of(Named("acme", "m_1"))) == []
    assert [kept.sequence for kept in outbox.of_call("c", 0, 9)] == [2, 3]
    assert {due.event_id for due in outbox.look("file", 101.0, 9).due} == {"c-2", "d-1", "e-1", "f-1"}


def test_events_of_a_call_that_goes_on_stay(database, outbox):
    outbox.append([Entry("c", 102.0, lambda n: (f"c-{n}", b"{}"), About(tenant="acme", life=Life.BEGUN))])
    outbox.record([Outcome("file", "c-1", "c", Fate.DONE, 101.0)])
    assert NamedEvents(database).forget(Named("acme", "m_1")) == (0, 1)

"""A platform's part of the chain, on both engines."""

import time

import pytest

from guardian.core.audit import CLOCK, STRANGER, Act, Entry, Principal
from guardian.core.audit_desk import LinkSearch
from guardian.core.people import Duty
from guardian.core.people_desk import NewPerson
from guardian.passwords import Passwords
from guardian.people_keeper import PeopleKeeper
from guardian.store.audit import AuditLog
from guardian.store.audit_views import TenantAudit
from guardian.store.people import People


@pytest.fixture
def log(database):
    return AuditLog(database)


@pytest.fixture
def seen(database):
    """seen("acme", **search) -> (act, subject) of the links its people are shown."""
    views = TenantAudit(database)
    return lambda tenant, **search: [
        (link.act, link.subject) for link in views.links(tenant, LinkSearch(**search))
    ]


def tell(log, act, subject, who):
    log.append(Entry(act, subject, who.text, "2026-11-22T09:00:00.000Z"))


def test_each_platform_sees_what_its_people_did_and_what_was_done_with_what_is_its(database, log, seen):
    passwords = Passwords(kib=64)
    keeper = PeopleKeeper(People(database), passwords, time.time)
    new = NewPerson("acme", "li.wei", "Li Wei", frozenset({Duty.VIEWER}))
    person = keeper.add(Principal("acme", "shell", "root"), new, "correct horse battery")
    passwords.close()
    tell(log, Act.TURNED_AWAY, person.id, STRANGER)
    tell(log, Act.TURNED_AWAY, "sign-in", STRANGER)
    tell(log, Act.PLAYED, "ev_1", Principal("acme", "person", person.id))
    tell(log, Act.EXPORTED, "request_1", Principal("acme", "key", "k_1"))
    tell(log, Act.ERASED, "ev_of_nobody", CLOCK)
    for other in ("acme2", "acm_", "acm", "ACME", "acme-x"):
        tell(log, Act.PLAYED, "ev_2", Principal(other, "person", "p_2"))
    assert seen("acme") == [
        ("participant.exported", "request_1"),
        ("evidence.played", "ev_1"),
        ("person.turned_away", person.id),
        ("account.made", person.id),
    ]
    assert seen("acm_") == [("evidence.played", "ev_2")]
    assert seen("nobody") == seen("%") == seen("") == []


def test_links_are_looked_for_and_turned_over_page_by_page(log, seen):
    one, two = (Principal("acme", "person", name) for name in ("p_1", "p_2"))
    for number in range(5):
        tell(log, Act.PLAYED, f"ev_{number}", one if number % 2 else two)
    assert seen("acme", limit=2) == [("evidence.played", "ev_4"), ("evidence.played", "ev_3")]
    assert seen("acme", limit=2, before=4) == [("evidence.played", "ev_2"), ("evidence.played", "ev_1")]
    assert seen("acme", subject="ev_3") == [("evidence.played", "ev_3")]
    assert [subject for _, subject in seen("acme", actor=one.text)] == ["ev_3", "ev_1"]
    assert seen("acme", act="evidence.erased") == []

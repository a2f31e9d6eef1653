"""Leases of nodes in the store: whoever is fenced never has one again, whoever has one is not fenced."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from guardian.store.fleet_tables import node_leases
from guardian.store.leases import NodeLeases

LEASE_S = 60.0


@pytest.fixture
def leases(database):
    return NodeLeases(database)


def let_pass(database, seconds):
    """As if so much time had passed."""
    with database.writing() as db:
        db.execute(node_leases.update().values(seen_at=node_leases.c.seen_at - seconds))


def test_whoever_has_a_lease_is_not_fenced(leases):
    assert leases.renew("a", "1", LEASE_S)
    assert not leases.fence("a", "1", LEASE_S)
    assert leases.renew("a", "1", LEASE_S)


def test_whoever_is_fenced_never_has_a_lease_again(leases, database):
    assert leases.renew("a", "1", LEASE_S)
    let_pass(database, LEASE_S + 1)
    assert leases.fence("a", "1", LEASE_S)
    assert leases.fence("a", "1", LEASE_S)
    assert not leases.renew("a", "1", LEASE_S)


def test_a_start_that_was_never_seen_is_fenced_for_good(leases):
    assert leases.fence("a", "1", LEASE_S)
    assert not leases.renew("a", "1", LEASE_S)


def test_other_starts_and_nodes_are_others(leases):
    assert leases.fence("a", "1", LEASE_S)
    assert leases.renew("a", "2", LEASE_S)
    assert leases.renew("b", "1", LEASE_S)


def test_the_longer_lease_counts_where_two_nodes_think_differently(leases, database):
    assert leases.renew("a", "1", 100.0)
    let_pass(database, 50.0)
    assert not leases.fence("a", "1", 10.0)
    assert leases.renew("a", "1", 10.0)
    let_pass(database, 50.0)
    assert not leases.fence("a", "1", 100.0)
    assert leases.fence("a", "1", 20.0)


def test_rows_of_long_ago_are_forgotten_and_no_others(leases, database):
    leases.fence("a", "1", LEASE_S)
    let_pass(database, 80 * 86400.0)
    leases.fence("a", "2", LEASE_S)
    let_pass(database, 20 * 86400.0)
    assert leases.fence("b", "1", LEASE_S)
    with database.reading() as db:
        assert sorted(row.incarnation for row in db.execute(node_leases.select())) == ["1", "2"]
    assert not leases.renew("a", "2", LEASE_S)


def test_of_one_that_renews_and_others_that_fence_one_wins(leases, database):
    """Whatever the order: after a renewal that held nobody has fenced, after a fence nobody renews."""
    with ThreadPoolExecutor(4) as pool:
        for turn in range(15):
            start, all_at_once = f"{turn}", threading.Barrier(3)
            if turn % 2:
                leases.renew("a", start, LEASE_S)
                let_pass(database, LEASE_S + 1)

            def go(work, start=start, all_at_once=all_at_once):
                all_at_once.wait(20)
                return work("a", start, LEASE_S)

            renewed, *fenced = pool.map(go, [leases.renew, leases.fence, leases.fence])
            assert fenced == [not renewed] * 2
            assert leases.renew("a", start, LEASE_S) is renewed


def test_a_renewal_that_waits_for_a_fence_comes_too_late(leases, database):
    if database.embedded:
        pytest.skip("SQLite has one writer at a time")
    assert leases.renew("a", "1", LEASE_S)
    with ThreadPoolExecutor(1) as pool, database.writing() as db:
        db.execute(node_leases.update().values(fenced=True))
        waiting = pool.submit(leases.renew, "a", "1", LEASE_S)
        locked = "wait_event_type = 'Lock' AND datname = current_database()"
        held_up = f"SELECT count(*) FROM pg_stat_activity WHERE {locked}"
        while not db.execute(sa.text(held_up)).scalar_one():
            assert not waiting.done()
        db.commit()
    assert waiting.result(20) is False

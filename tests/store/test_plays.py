"""What somebody has opened since a moment, read out of the chain."""

from __future__ import annotations

import pytest

from guardian.core.audit import Act, Entry
from guardian.core.times import rfc3339
from guardian.store.audit import AuditLog
from guardian.store.plays import PlayLog

ME, OTHER = "person:acme/p_1", "person:acme/p_2"


@pytest.fixture
def chain(database):
    return AuditLog(database)


def opened(chain, clip, at, actor=ME, part="media"):
    chain.append(Entry(Act.PLAYED, clip, actor, rfc3339(at), {"part": part, "link": "x"}))


def clips(plays):
    return [(play.clip, play.at) for play in plays]


def test_ones_own_plays_since_a_moment_are_found_in_order(database, chain):
    log = PlayLog(database)
    assert log.plays(ME, 100.0) == ()
    for at in range(20):
        opened(chain, f"ev_{at}", 90.0 + at)
        opened(chain, f"ev_{at}", 90.0 + at, actor=OTHER)
    opened(chain, "ev_read", 111.0, part="notes")
    assert clips(PlayLog(database).plays(ME, 105.0)) == [(f"ev_{at}", 90.0 + at) for at in range(15, 20)]
    assert clips(PlayLog(database).plays(ME, 0.0))[0] == ("ev_0", 90.0)
    assert PlayLog(database).plays(ME, 1000.0) == ()


def test_what_comes_later_is_added_and_nothing_twice(database, chain):
    log = PlayLog(database)
    opened(chain, "ev_1", 100.0)
    assert clips(log.plays(ME, 50.0)) == [("ev_1", 100.0)]
    opened(chain, "ev_2", 101.0)
    for _ in range(2):
        assert clips(log.plays(ME, 50.0)) == [("ev_1", 100.0), ("ev_2", 101.0)]

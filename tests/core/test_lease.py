"""When a lease holds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardian.core.lease import Lease, lease_clock

moments = st.floats(0, 1e9, allow_nan=False)


def test_without_an_end_it_holds():
    lease = Lease(lambda: 1e12)
    assert lease.holds
    assert lease.over_s == 0


@given(moments, st.lists(moments, min_size=1))
def test_it_holds_before_the_latest_end_it_was_given(now, ends):
    lease = Lease(lambda: now)
    for end in ends:
        lease.extend(end)
    assert lease.holds == (now < max(ends))
    assert lease.over_s == pytest.approx(max(0.0, now - max(ends)))


@given(moments, moments, moments)
def test_what_was_granted_is_not_taken_back_by_a_message_that_comes_late(now, first, second):
    lease = Lease(lambda: now)
    lease.extend(max(first, second))
    held = lease.holds
    lease.extend(min(first, second))
    assert lease.holds == held


def test_its_clock_goes_on():
    before = lease_clock()
    assert lease_clock() >= before > 0

"""The record of a call in a fleet: whoever has it, it is opened a few times at most, and ended once."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardian.core.call_records import TAKEN_AT_MOST, CallRecord, CallState, LegHash, Turn
from guardian.core.calls import CallSpec
from guardian.core.violations import Role
from guardian.fleet.wire import SCHEMA, Garbled, record_from, record_to_bytes

SPEC = CallSpec("c", "acme", {Role.SHOPPER: "u", Role.MERCHANT: "m"})
RECORD = CallRecord(
    SPEC, {"k": 1}, {Role.SHOPPER: LegHash("a" * 64, 100.0), Role.MERCHANT: LegHash("b" * 64, 100.0)},
    "n", "i", 0.0,
)  # fmt: skip


def test_who_could_join_when_a_call_failed_may_join_for_some_time_more():
    late = replace(RECORD, joined=frozenset({Role.MERCHANT})).failed(200.0, 60.0)
    assert late.legs[Role.SHOPPER].expires == 100.0
    assert late.legs[Role.MERCHANT].expires == 260.0
    assert RECORD.failed(50.0, 60.0).legs[Role.SHOPPER].expires == 110.0


@given(st.lists(st.sampled_from(["fail", "end", "take"]), max_size=30))
def test_a_call_is_opened_a_few_times_at_most_and_never_after_its_end(steps):
    record, opened, ended = RECORD, 1, False
    for step in steps:
        if step == "fail" and record.state is CallState.OPEN:
            record = record.failed(1.0, 60.0)
        elif step == "end":
            record, ended = record.ended(1.0, "over"), True
        elif step == "take" and record.state is CallState.FAILED and not record.poison:
            record, opened = record.taken("other", "j", 1.0), opened + 1
    assert opened <= TAKEN_AT_MOST
    assert (record.state is CallState.ENDED) == ended


def test_who_answers():
    assert RECORD.turn("n", "i", True) is Turn.HERE
    assert RECORD.turn("m", "j", True) is Turn.THERE
    assert RECORD.turn("m", "j", False) is Turn.WAIT
    assert RECORD.turn("n", "later", False) is Turn.WAIT
    assert RECORD.failed(1.0, 1.0).turn("m", "j", False) is Turn.HERE


def test_a_record_travels_whole_and_holds_no_token():
    for record in (RECORD, replace(RECORD.failed(1.0, 2.0), joined=frozenset({Role.SHOPPER}))):
        assert record_from(record_to_bytes(record)) == record


def _written(**fields):
    """A record as another version may write it."""
    return {**json.loads(record_to_bytes(RECORD)), **fields}


def test_a_record_with_more_in_it_than_is_known_here_is_read():
    more = _written(color="green")
    more["spec"]["mood"] = {"calm": True}
    assert record_from(json.dumps(more).encode()) == RECORD


def test_a_record_of_a_version_that_wrote_less_is_read():
    less = _written()
    for name in ("schema", "reason", "joined"):
        del less[name]
    for name in ("languages", "overlays", "purpose", "order_ref_sha256"):
        del less["spec"][name]
    assert record_from(json.dumps(less).encode()) == RECORD


def test_a_record_that_has_to_be_understood_is_not_read():
    with pytest.raises(Garbled):
        record_from(json.dumps(_written(schema=SCHEMA + 1)).encode())


@pytest.mark.parametrize(
    "value", [b"", b"[]", b"1", b"\xff", b"[" * 100_000, b'{"schema": "x"}', b'{"spec": 1}']
)
def test_what_is_no_record_is_told_apart(value):
    with pytest.raises(Garbled):
        record_from(value)

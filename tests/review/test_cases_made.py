"""What calls tell becomes cases, together with the event; on both engines."""

from concurrent.futures import Future

import pytest

from guardian.case_keeper import CaseKeeper
from guardian.core.calls import CallEvent, CallEventType, Scope
from guardian.core.case_queue import Cursor
from guardian.core.case_records import CaseSearch
from guardian.core.cases import CaseState, ReviewTerms
from guardian.core.errors import NoSuchCase
from guardian.core.retention import Retention
from guardian.core.violations import Level, Role
from guardian.desk import Desk, Surroundings
from guardian.events.envelope import Envelope, Issuer
from guardian.store.cases import CaseStore
from guardian.store.outbox import Outbox
from guardian.telemetry.metrics import Metrics
from tests.review.calls import complaint, spec, violation

NOW = 1_790_000_000.0


@pytest.fixture
def desk(database):
    keeper = CaseKeeper(ReviewTerms(), Retention(), lambda: NOW)
    envelope = Envelope(Issuer("here", "org.example", "1", "i"))
    around = Surroundings(Metrics(), lambda: None, lambda: NOW, beside=keeper.beside)
    desk = Desk(Outbox(database, []), envelope, around)
    yield desk
    desk.close(5)


def listed(database, *states, tenant="acme", **more):
    wanted = CaseSearch(tenant=tenant, states=states or (CaseState.OPEN,), now=NOW, **more)
    return CaseStore(database).search(wanted)


def told(desk, call, *events) -> list[Future]:
    done = [desk.keep(call, event) for event in events]
    for one in done:
        one.result(10)
    return done


def test_a_violation_becomes_a_case_with_what_may_be_kept_of_it(desk, database):
    (kept,) = told(desk, spec(), violation("vio_1", heard="加我 13812345678", phrase="加我"))
    (case,) = listed(database)
    assert (case.cause, case.event_id, case.role, case.party) == (
        "vio_1", kept.result().event_id, Role.MERCHANT, "m_1",
    )  # fmt: skip
    assert case.said == {"heard": "加我 [REDACTED:DIGITS]", "phrase": "加我"}
    assert case.facts["confidence"] == 0.8
    assert case.call.scopes == frozenset(Scope)
    told(desk, spec(call_id="d", scopes=frozenset({Scope.HEAR})), violation("vio_2", call_id="d"))
    without = next(one for one in listed(database) if one.cause == "vio_2")
    assert without.said == {}


def test_the_same_violation_makes_one_case(desk, database):
    told(desk, spec(), violation("vio_1"), violation("vio_1"))
    assert len(listed(database)) == 1


def test_what_is_told_again_brings_a_case_up_to_date(desk, database):
    told(desk, spec(), violation("vio_1"))
    (before,) = listed(database)
    update = violation("vio_1", kind=CallEventType.VIOLATION_UPDATED, status="confirmed", level="BLOCK")
    told(desk, spec(), update, update)
    (case,) = listed(database)
    assert (case.level, case.facts["status"], case.version) == (Level.BLOCK, "confirmed", 2)
    assert case.place < before.place
    assert case.due_at < before.due_at


def test_what_is_taken_back_needs_nobody(desk, database):
    told(desk, spec(), violation("vio_1"))
    back = violation("vio_1", kind=CallEventType.VIOLATION_RETRACTED, status="retracted")
    told(desk, spec(), back)
    assert listed(database) == ()
    (case,) = listed(database, CaseState.WITHDRAWN)
    assert case.version == 2


def test_hits_of_one_party_in_one_call_hurry_each_other(desk, database):
    told(desk, spec(), violation("vio_1"), violation("vio_2"))
    told(desk, spec(call_id="d"), violation("vio_3", call_id="d"))
    told(desk, spec(), violation("vio_4", speaker="shopper"))
    hits = {case.cause: case.hits for case in listed(database)}
    assert hits == {"vio_1": 2, "vio_2": 2, "vio_3": 1, "vio_4": 1}
    assert {case.cause for case in listed(database)[:2]} == {"vio_1", "vio_2"}
    for case in listed(database):
        assert case.place == pytest.approx(case.rank(ReviewTerms()))


def test_a_complaint_is_about_the_other_party(desk, database):
    (kept,) = told(desk, spec(), complaint("shopper", "harassment"))
    (case,) = listed(database)
    assert (case.cause, case.role, case.party) == (kept.result().event_id, Role.MERCHANT, "m_1")
    assert case.category == "complaint.harassment"


def evidence(kind, evidence_id, *causes):
    data = {"evidence_id": evidence_id, "causes": list(causes)}
    return CallEvent("c", kind, "2026-11-21T09:14:32.418Z", 221.0, data)


def test_clips_come_to_their_cases_and_take_the_words_along_when_they_go(desk, database):
    told(desk, spec(), violation("vio_1"), violation("vio_2"))
    told(desk, spec(), evidence(CallEventType.EVIDENCE_READY, "ev_1", "vio_1", "vio_2", "vio_unknown"))
    told(desk, spec(), evidence(CallEventType.EVIDENCE_READY, "ev_2", "vio_2"))
    store = CaseStore(database)
    one, two = sorted(listed(database), key=lambda case: case.cause)
    assert [clip for clip, _ in store.clips(two.id)] == ["ev_1", "ev_2"]
    told(desk, spec(), evidence(CallEventType.EVIDENCE_DELETED, "ev_1", "vio_1", "vio_2"))
    one, two = sorted(listed(database), key=lambda case: case.cause)
    assert one.said == {}
    assert two.said != {}
    told(desk, spec(), violation("vio_1", kind=CallEventType.VIOLATION_UPDATED, level="BLOCK"))
    assert store.find(one.id, "acme").said == {}
    assert [row.what for row in store.history(one.id)] == ["made", "evidence", "evidence_gone", "updated"]


def test_tenants_see_their_own(desk, database):
    told(desk, spec(), violation("vio_1"))
    told(desk, spec(tenant="rival", call_id="r"), violation("vio_1", call_id="r"))
    (mine,) = listed(database)
    (theirs,) = listed(database, tenant="rival")
    assert mine.id != theirs.id
    with pytest.raises(NoSuchCase):
        CaseStore(database).find(theirs.id, "acme")


def test_pages_follow_each_other_over_states(desk, database):
    call = spec()
    told(desk, call, *(violation(f"vio_{n}", call_id="c") for n in range(7)))
    told(desk, call, violation("vio_0", kind=CallEventType.VIOLATION_RETRACTED, status="retracted"))
    states = (CaseState.OPEN, CaseState.WITHDRAWN)
    seen, after = [], None
    while page := listed(database, *states, after=after, limit=2):
        seen += [case.cause for case in page]
        after = Cursor(page[-1].place, page[-1].id)
    assert sorted(seen) == [f"vio_{n}" for n in range(7)]

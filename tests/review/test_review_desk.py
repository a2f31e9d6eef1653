"""Claims, decisions and what comes of them; on both engines."""

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial

import pytest
import sqlalchemy as sa

from guardian.core.appeals import AppealChoice
from guardian.core.audit import Act
from guardian.core.calls import CallEventType
from guardian.core.cases import Action, CaseState, Choice, ReviewTerms
from guardian.core.errors import CaseConflict, CaseRefused, GuardianError, NoSuchCase, Unavailable
from guardian.core.people import Duty
from guardian.core.retention import Retention
from guardian.core.review_desk import AppealWish, DecisionWish, Judgement, Queue, Sweep
from guardian.core.violations import Level, Role
from guardian.events.models import DATA
from guardian.review_desk import ServerReview
from guardian.store import audit
from guardian.store.evidence_changes import Doing
from guardian.store.evidence_tables import evidence
from tests.review.calls import spec, violation
from tests.review.court import ALONE, court, key, person

ANN, BOB, CAT = person("ann"), person("bob"), person("cat")
REVIEWER = person("rae", Duty.REVIEWER)
VIEWER = person("vic", Duty.VIEWER)


@pytest.fixture
def alone(database, tmp_path):
    """One person decides."""
    with court(database, tmp_path / "clips") as made:
        yield made


@pytest.fixture
def two(database, tmp_path):
    """Two people decide what is urgent."""
    with court(database, tmp_path / "clips", terms=ReviewTerms(second_share=0.0)) as made:
        yield made


def wish(held, choice=Choice.CONFIRM, reason="explicit", **more):
    return DecisionWish(held["lease"], held["version"], choice, reason, **more)


def test_a_case_is_claimed_looked_at_and_decided(alone):
    case = alone.case()
    clip = alone.clip("vio_1")
    before = alone.review.show(ANN, case)
    assert before["lease"] is None
    assert before["clips"][0]["notes"] is None
    assert before["participants"] is None
    held = alone.review.claim(ANN, case)
    whole = alone.review.show(ANN, case)
    assert whole["clips"][0]["notes"]["transcript"][0]["words"][0]["w"] == "13812345678"
    assert whole["hit"]["rule_version"] == "7"
    assert whole["hit"]["rule_version_now"] == "8"
    assert whole["hit"]["exceptions_weighed"] == ["asking"]
    done = alone.review.decide(ANN, case, wish(held))
    assert (done["state"], done["finding"]) == ("decided", "confirmed")
    after = alone.review.show(BOB, case)
    assert after["clips"][0]["review"] == "confirmed"
    assert after["participants"] == {"merchant": "m_1", "shopper": "u_1"}
    assert after["clips"][0]["notes"] is None
    assert alone.acts(case) == [
        Act.CASE_VIEWED, Act.CASE_CLAIMED, Act.CASE_VIEWED, Act.CASE_DECIDED, Act.CASE_VIEWED,
    ]  # fmt: skip
    assert alone.acts(clip) == [Act.KEPT, Act.PLAYED, Act.REVIEWED]


def test_events_tell_of_it_and_name_what_led_to_them(alone):
    case = alone.case()
    done = alone.decide(ANN, case, actions=(Action.WARN, Action.END))
    (first,) = alone.told("c", CallEventType.VIOLATION_DETECTED)
    claimed, decided = (
        alone.told("c", kind)[0] for kind in (CallEventType.REVIEW_CLAIMED, CallEventType.REVIEW_DECIDED)
    )
    assert decided["id"] == done["event_id"]
    assert claimed["causationid"] == decided["causationid"] == first["id"]
    assert decided["data"]["causes"] == ["vio_1"]
    asked = alone.told("c", CallEventType.ACTION_REQUESTED)
    assert [one["data"]["action"] for one in asked] == ["warn", "end"]
    assert [one["data"]["role"] for one in asked] == ["merchant", None]
    for one in (claimed, decided, *asked):
        kind = CallEventType(one["type"].removeprefix("org.example.").removesuffix(".v1"))
        DATA[kind].model_validate(one["data"])
    assert "ann" not in json.dumps([claimed, decided])


def test_what_is_dismissed_is_kept_a_day_and_what_is_confirmed_as_long_as_appeals_last(alone):
    one = alone.case("vio_1", call_id="c")
    two = alone.case("vio_2", call_id="d")
    clips = alone.clip("vio_1"), alone.clip("vio_2", call_id="d")
    alone.decide(ANN, one)
    alone.decide(ANN, two, Choice.DISMISS)
    confirmed, dismissed = (alone.evidence.record(ANN.principal, clip).retain_until for clip in clips)
    assert confirmed == alone.at + Retention().confirmed_s
    assert dismissed == alone.at + Retention().dismissed_s


def test_a_clip_of_two_cases_waits_for_both(alone):
    one, two = alone.case("vio_1"), alone.case("vio_2")
    clip = alone.clip("vio_1", "vio_2")
    alone.decide(ANN, one, Choice.DISMISS)
    assert alone.evidence.record(ANN.principal, clip).review == "unreviewed"
    alone.decide(ANN, two, Choice.DISMISS)
    assert alone.evidence.record(ANN.principal, clip).review == "dismissed"


def test_two_cannot_claim_one_case(alone):
    case = alone.case()
    held = alone.review.claim(ANN, case)
    with pytest.raises(CaseConflict, match="claimed") as refused:
        alone.review.claim(BOB, case)
    assert refused.value.news["claimed_by"] == ANN.text
    assert alone.review.claim(ANN, case)["lease"] == held["lease"]


def test_next_takes_the_most_urgent_that_is_free_and_one_may_decide(two):
    slow = two.case("vio_1", call_id="c")
    urgent = two.case("vio_2", call_id="d", level="BLOCK")
    assert two.review.next(REVIEWER, Queue(), ())["case"]["case_id"] == urgent
    assert two.review.next(ANN, Queue(), ())["case"]["case_id"] == slow
    assert two.review.next(BOB, Queue(), ()) == {"case": None}
    two.decide(REVIEWER, urgent)
    assert two.review.next(REVIEWER, Queue(), ()) == {"case": None}
    assert two.review.next(ANN, Queue(), [urgent]) == {"case": None}
    assert two.review.next(ANN, Queue(level=Level.BLOCK), ())["case"]["case_id"] == urgent


def test_a_claim_ends_and_says_what_is_new_and_loses_nothing(alone):
    case = alone.case()
    held = alone.review.claim(ANN, case)
    alone.at += ALONE.lease_s + 1
    taken = alone.review.claim(BOB, case)
    for act in (
        lambda: alone.review.renew(ANN, case, held["lease"]),
        lambda: alone.review.release(ANN, case, held["lease"]),
        lambda: alone.review.decide(ANN, case, wish(held, note="typed for long")),
    ):
        with pytest.raises(CaseConflict) as refused:
            act()
        assert refused.value.news["claimed_by"] == BOB.text
    alone.review.release(BOB, case, taken["lease"])
    again = alone.review.claim(ANN, case)
    assert alone.review.decide(ANN, case, wish(again, note="typed for long"))["finding"] == "confirmed"
    (remark,) = alone.review.show(ANN, case)["notes"]
    assert remark["note"] == "typed for long"


def test_activity_makes_a_claim_last(alone):
    case = alone.case()
    held = alone.review.claim(ANN, case)
    for _ in range(3):
        alone.at += ALONE.lease_s - 1
        alone.review.renew(ANN, case, held["lease"])
    assert alone.review.decide(ANN, case, wish(held))["finding"] == "confirmed"


def test_taking_over_says_why_and_to_whom(alone):
    case = alone.case()
    held = alone.review.claim(REVIEWER, case)
    with pytest.raises(CaseRefused):
        alone.review.take_over(person("rob", Duty.REVIEWER), case, "lunch")
    alone.review.take_over(ANN, case, "gone to lunch")
    with pytest.raises(CaseConflict) as refused:
        alone.review.decide(REVIEWER, case, wish(held))
    assert refused.value.news["claimed_by"] == ANN.text
    assert Act.CASE_TAKEN_OVER in alone.acts(case)
    told = alone.told("c", CallEventType.REVIEW_CLAIMED)
    assert [one["data"]["taken_over"] for one in told] == [False, True]


def test_a_decision_on_what_has_changed_says_what_is_new(alone):
    case = alone.case()
    held = alone.review.claim(ANN, case)
    alone.clip("vio_1")
    with pytest.raises(CaseConflict) as refused:
        alone.review.decide(ANN, case, wish(held))
    assert [one["what"] for one in refused.value.news["changes"]] == ["evidence"]
    again = {**held, "version": refused.value.news["version"]}
    assert alone.review.decide(ANN, case, wish(again))["finding"] == "confirmed"


def test_what_was_taken_back_meanwhile_is_not_decided(alone):
    case = alone.case()
    held = alone.review.claim(ANN, case)
    alone.take_back()
    with pytest.raises(CaseConflict) as refused:
        alone.review.decide(ANN, case, wish(held))
    assert refused.value.news["state"] == "withdrawn"


def test_urgent_cases_are_decided_by_two_who_do_not_know_of_each_other(two):
    case = two.case(level="BLOCK")
    assert two.decide(REVIEWER, case)["state"] == "second_review"
    assert two.told("c", CallEventType.REVIEW_DECIDED) == []
    with pytest.raises(CaseRefused):
        two.review.claim(REVIEWER, case)
    with pytest.raises(CaseRefused, match="roles"):
        two.review.claim(person("rob", Duty.REVIEWER), case)
    seen = two.review.show(ANN, case)
    assert (seen["decisions"], seen["finding"]) == ({"count": 1, "folded": True}, None)
    assert "explicit" not in json.dumps(seen)
    with pytest.raises(CaseRefused, match="first"):
        two.review.earlier(ANN, case)
    assert two.decide(ANN, case)["finding"] == "confirmed"
    assert len(two.review.earlier(ANN, case)["decisions"]) == 2
    (told,) = two.told("c", CallEventType.REVIEW_DECIDED)
    assert told["data"]["people"] == 2


def test_who_does_not_agree_hands_on_to_a_third(two):
    case = two.case(level="BLOCK")
    two.decide(REVIEWER, case)
    assert two.decide(ANN, case, Choice.DISMISS)["state"] == "escalated"
    assert [one["choice"] for one in two.review.earlier(BOB, case)["decisions"]] == ["confirm", "dismiss"]
    with pytest.raises(CaseRefused):
        two.review.claim(ANN, case)
    assert two.decide(BOB, case, Choice.DISMISS)["finding"] == "dismissed"
    assert two.review.report(ANN, 30)["agreement"] == {"pairs": 1, "agreement": 0.0, "kappa": 0.0}


def test_many_are_dismissed_at_once_when_the_count_is_right(alone):
    for n in range(4):
        alone.case(f"vio_{n}", call_id=f"c{n}")
    urgent = alone.case("vio_b", call_id="cb", level="BLOCK")
    held = alone.review.claim(ANN, alone.case("vio_held", call_id="ch"))
    sweep = Sweep(Queue(category="contact_exchange"), "false_positive")
    told = alone.review.dismiss(BOB, sweep)
    assert told == {"count": 4, "more": False, "dismissed": 0, "left_out": 0}
    with pytest.raises(CaseConflict) as refused:
        alone.review.dismiss(BOB, Sweep(sweep.which, sweep.reason, count=5))
    assert refused.value.news["count"] == 4
    with pytest.raises(CaseRefused):
        alone.review.dismiss(REVIEWER, Sweep(sweep.which, sweep.reason, count=4))
    assert alone.review.dismiss(BOB, Sweep(sweep.which, sweep.reason, count=4))["dismissed"] == 4
    left = {one["case_id"] for one in alone.review.list(BOB, Queue())["cases"]}
    assert left == {urgent, held["case_id"]}


def test_lists_tell_no_words_and_no_names(alone):
    alone.case(heard="加我的微信", phrase="加微信")
    (row,) = alone.review.list(VIEWER, Queue())["cases"]
    text = json.dumps(row, ensure_ascii=False)
    assert not any(word in text for word in ("加", "m_1", "u_1"))
    assert row["priority"] > 0


def test_the_history_of_a_party_is_a_count(alone):
    alone.decide(ANN, alone.case("vio_1", call_id="c"))
    alone.decide(ANN, alone.case("vio_2", call_id="d"), Choice.DISMISS)
    case = alone.case("vio_3", call_id="e")
    (row,) = alone.review.list(ANN, Queue())["cases"]
    assert row["party"] == {"confirmed": 1, "dismissed": 1}
    assert len(alone.review.earlier(ANN, case)["party"]) == 2
    assert Act.CASE_OPENED in alone.acts(case)


def test_another_tenant_finds_nothing(alone):
    case = alone.case()
    stranger = key(tenant="rival")
    for act in (
        lambda: alone.review.show(stranger, case),
        lambda: alone.review.earlier(stranger, case),
        lambda: alone.review.claim(stranger, case),
        lambda: alone.review.take_over(stranger, case, "why not"),
        lambda: alone.review.renew(stranger, case, "lease_1"),
        lambda: alone.review.release(stranger, case, "lease_1"),
        lambda: alone.review.note(stranger, case, "hello"),
        lambda: alone.review.decide(stranger, case, DecisionWish("lease_1", 1, Choice.CONFIRM, "explicit")),
    ):
        with pytest.raises(NoSuchCase):
            act()
    states = tuple(CaseState)
    assert alone.review.list(stranger, Queue(states=states))["cases"] == []
    assert alone.review.list(stranger, Queue(states=states, q=case))["cases"] == []
    assert alone.review.next(stranger, Queue(), ()) == {"case": None}
    assert alone.review.report(stranger, 30)["decisions"] == 0


def test_a_report_says_how_review_goes(alone):
    for n in range(3):
        case = alone.case(f"vio_{n}", call_id=f"c{n}")
        alone.at += 60
        alone.decide(ANN, case, Choice.DISMISS if n == 0 else Choice.CONFIRM)
    alone.case("vio_9", call_id="c9")
    alone.at += 5
    told = alone.review.report(ANN, 30)
    assert told["precision"]["rule"] == [
        {"name": "contact.add", "confirmed": 2, "dismissed": 1, "precision": 0.667}
    ]
    assert told["time_to_review"] == {"cases": 3, "p50_s": 60.0, "p95_s": 60.0}
    assert told["false_phrases"] == [{"rule": "contact.add", "phrase": "加微信", "cases": 1}]
    assert told["queue"] == {"open": {"cases": 1, "oldest_s": 5}}


def at_once(*acts):
    """All of them begin together; what each gave or raised."""
    start = threading.Barrier(len(acts))

    def run(act):
        start.wait(10)
        try:
            return act()
        except GuardianError as error:
            return error

    with ThreadPoolExecutor(len(acts)) as pool:
        return list(pool.map(run, acts))


def test_of_many_who_race_for_a_case_one_gets_it(alone):
    case = alone.case()
    people = [person(f"p{n}") for n in range(4)]
    for _ in range(5):
        got = at_once(*(partial(alone.review.claim, who, case) for who in people))
        (held,) = [one for one in got if isinstance(one, dict)]
        assert all(isinstance(one, CaseConflict) for one in got if one is not held)
        holder = next(who for who, one in zip(people, got, strict=True) if one is held)
        alone.review.release(holder, case, held["lease"])


def test_next_gives_everybody_another_case(alone):
    for n in range(4):
        alone.case(f"vio_{n}", call_id=f"c{n}")
    got = at_once(*(partial(alone.review.next, person(f"p{n}"), Queue(), ()) for n in range(4)))
    assert len({one["case"]["case_id"] for one in got}) == 4


def test_what_happens_at_once_waits_for_each_other_and_not_for_ever(alone):
    """Events that change a case and people who do: each takes rows and the chain."""
    case = alone.case()

    def tell():
        for level in ("BLOCK", "REVIEW") * 5:
            update = violation("vio_1", kind=CallEventType.VIOLATION_UPDATED, level=level)
            alone.desk.keep(spec(), update).result(20)

    def work(who):
        for n in range(5):
            alone.review.note(who, case, f"remark {n}")
            alone.review.show(who, case)

    def take(who):
        for _ in range(5):
            try:
                held = alone.review.claim(who, case)
                alone.review.release(who, case, held["lease"])
            except CaseConflict:
                continue

    got = at_once(tell, partial(work, ANN), partial(work, BOB), partial(take, ANN), partial(take, CAT))
    assert got == [None] * 5
    rows = alone.store.history(case)
    assert [row.version for row in rows] == list(range(1, len(rows) + 1))


@pytest.mark.parametrize("choice", [Choice.CONFIRM, Choice.DISMISS])
def test_a_clip_that_comes_after_the_decision_is_kept_as_long_as_it_has_it(alone, choice):
    case = alone.case()
    alone.decide(ANN, case, choice)
    record = alone.evidence.record(ANN.principal, alone.clip("vio_1"))
    finding = {Choice.CONFIRM: "confirmed", Choice.DISMISS: "dismissed"}[choice]
    assert record.review == finding
    assert record.retain_until == alone.at + getattr(Retention(), f"{finding}_s")


def test_a_clip_of_what_was_taken_back_is_kept_no_longer_than_one_of_what_was_dismissed(alone):
    alone.case()
    clip = alone.clip("vio_1")
    alone.take_back()
    record = alone.evidence.record(ANN.principal, clip)
    assert (record.review, record.retain_until) == ("dismissed", alone.at + Retention().dismissed_s)


def test_actions_are_asked_for_with_the_decision_or_not_at_all(alone):
    case = alone.case()
    held = alone.review.claim(ANN, case)
    calls = []

    def once(*told):
        """The store takes one more order, and no other."""
        if calls:
            raise Unavailable("no room")
        calls.append(told)
        return alone.desk.keep(*told)

    review = ServerReview(replace(alone.parts, tell=once))
    review.decide(ANN, case, wish(held, actions=(Action.WARN, Action.END)))
    asked = alone.told("c", CallEventType.ACTION_REQUESTED)
    assert [one["data"]["action"] for one in asked] == ["warn", "end"]


def test_remarks_are_told_however_much_was_done_in_a_case(alone):
    case = alone.case()
    for _ in range(30):
        alone.review.release(ANN, case, alone.review.claim(ANN, case)["lease"])
    alone.review.note(BOB, case, "seen before")
    shown = alone.review.show(ANN, case)
    assert [one["note"] for one in shown["notes"]] == ["seen before"]
    assert shown["history"][-1]["what"] == "note"


def test_numbers_in_remarks_are_for_who_holds_the_case(alone):
    case = alone.case()
    alone.review.note(BOB, case, "he said 138 1234 5678")
    alone.review.claim(ANN, case)
    assert alone.review.show(ANN, case)["notes"][0]["note"] == "he said 138 1234 5678"
    assert "5678" not in json.dumps(alone.review.show(VIEWER, case))


def test_complaints_hide_no_violations_from_who_dismisses_many(alone, monkeypatch):
    monkeypatch.setattr("guardian.review_deciding.MOST_AT_ONCE", 2)
    for n in range(3):
        alone.complaint(f"c{n}")
    alone.at += 1
    case = alone.case("vio_1", call_id="d")
    told = alone.review.dismiss(BOB, Sweep(Queue(), "false_positive"))
    assert (told["count"], told["more"]) == (1, False)
    alone.review.dismiss(BOB, Sweep(Queue(), "false_positive", count=1))
    assert alone.store.find(case, "acme").state is CaseState.DECIDED


def test_somebody_is_quicker_with_one_of_many(alone):
    cases = [alone.case(f"vio_{n}", call_id=f"c{n}") for n in range(3)]
    taken = []

    def late(spec, event, *rest):
        if event.type is CallEventType.REVIEW_DECIDED and not taken:
            taken.append(event.data["case_id"])
            alone.review.claim(CAT, taken[0])
        return alone.desk.keep(spec, event, *rest)

    review = ServerReview(replace(alone.parts, tell=late))
    told = review.dismiss(BOB, Sweep(Queue(), "false_positive", count=3))
    assert (told["dismissed"], told["left_out"]) == (2, 1)
    states = {case: alone.store.find(case, "acme").state for case in cases}
    assert states.pop(taken[0]) is CaseState.OPEN
    assert set(states.values()) == {CaseState.DECIDED}


def test_whoever_is_late_for_the_most_urgent_gets_another_one(alone):
    for n in range(22):
        alone.case(f"vio_{n}", call_id=f"c{n}")
    quicker = []

    def late(spec, event, *rest):
        if len(quicker) < 20:
            quicker.append(event.data["case_id"])
            alone.review.claim(CAT, event.data["case_id"])
        return alone.desk.keep(spec, event, *rest)

    review = ServerReview(replace(alone.parts, tell=late))
    assert review.next(ANN, Queue(), ())["case"]["case_id"] not in quicker


def test_shares_of_a_report_are_of_one_time(alone, monkeypatch):
    monkeypatch.setattr("guardian.store.review_figures._MOST", 2)
    overturned = alone.case("vio_0", call_id="c0")
    alone.decide(ANN, overturned)
    made = alone.appeals.open(key(), AppealWish(overturned, Role.MERCHANT, "no"))
    alone.review.claim(BOB, overturned)
    alone.appeals.opinion(BOB, made["appeal_id"], Choice.DISMISS, 1)
    alone.appeals.decide(BOB, made["appeal_id"], Judgement(2, AppealChoice.OVERTURN, "misheard"))
    for n in (1, 2):
        alone.at += 60
        alone.decide(ANN, alone.case(f"vio_{n}", call_id=f"c{n}"))
    told = alone.review.report(ANN, 30)
    assert (told["decisions"], told["appeals"]["overturned"]) == (2, 0)


def test_what_erases_and_what_reviews_take_the_chain_first(alone):
    """In one order, or each would wait for what the other holds."""
    alone.case()
    record = alone.evidence.record(ANN.principal, alone.clip("vio_1"))
    with alone.database.writing() as db:
        audit.hold(db)
        erased = alone.keeper.erase(record, "asked for", Doing(ANN.text, alone.keeper.now()))
        until = time.monotonic() + 20
        while not alone.database.embedded and not waits_for_a_lock(alone.database):
            assert time.monotonic() < until
            time.sleep(0.01)
        here = sa.select(evidence.c.id).where(evidence.c.id == record.id)
        assert db.execute(here.with_for_update(nowait=True)).first()
    erased.result(20)


def waits_for_a_lock(database) -> bool:
    with database.reading() as db:
        here = "SELECT 1 FROM pg_locks WHERE NOT granted AND database = (SELECT oid FROM pg_database"
        return bool(db.execute(sa.text(f"{here} WHERE datname = current_database())")).first())

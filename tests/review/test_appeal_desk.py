"""Appeals: by either party, judged by another person who does not know the decision; on both engines."""

import json
from dataclasses import replace

import pytest

from guardian.appeal_desk import ServerAppeals
from guardian.core.appeals import AppealChoice
from guardian.core.audit import Act
from guardian.core.calls import CallEventType
from guardian.core.cases import Choice
from guardian.core.errors import CaseConflict, CaseRefused, NoSuchCase
from guardian.core.people import Duty
from guardian.core.review_desk import AppealList, AppealWish, Judgement
from guardian.core.violations import Role
from guardian.events.models import DATA
from tests.review.court import ALONE, court, key, person

ANN, BOB, CAT = person("ann"), person("bob"), person("cat")
SERVICE = key()


@pytest.fixture
def alone(database, tmp_path):
    with court(database, tmp_path / "clips") as made:
        yield made


@pytest.fixture
def decided(alone):
    """A case that Ann has confirmed."""
    case = alone.case()
    alone.clip("vio_1")
    alone.decide(ANN, case)
    return case


def bring(court, case, role=Role.MERCHANT, words="我没有说过"):
    return court.appeals.open(SERVICE, AppealWish(case, role, words))


def judged(court, made, who=BOB, choice=Choice.DISMISS):
    court.review.claim(who, made["case_id"])
    return court.appeals.opinion(who, made["appeal_id"], choice, made["version"])


def test_an_appeal_is_judged_by_another_person_who_learns_last_what_was_decided(alone, decided):
    made = bring(alone, decided)
    with pytest.raises(CaseRefused, match="another person"):
        alone.review.claim(ANN, decided)
    with pytest.raises(CaseConflict, match="Claim the case"):
        alone.appeals.opinion(BOB, made["appeal_id"], Choice.DISMISS, 1)
    alone.review.claim(BOB, decided)
    seen = [alone.review.show(BOB, decided), alone.appeals.show(BOB, made["appeal_id"])]
    assert seen[1]["words"] == "我没有说过"
    assert (seen[0]["finding"], seen[1]["was"], seen[1]["folded"]) == (None, None, True)
    assert seen[0]["party"] == {"confirmed": 0, "dismissed": 0}
    assert "explicit" not in json.dumps(seen)
    with pytest.raises(CaseRefused):
        alone.review.earlier(BOB, decided)
    with pytest.raises(CaseRefused, match="first"):
        alone.appeals.decide(BOB, made["appeal_id"], Judgement(1, AppealChoice.OVERTURN, "misheard"))
    opened = judged(alone, made)
    assert (opened["was"], opened["folded"], opened["version"]) == ("confirmed", False, 2)
    assert opened["decisions"][0]["reason"] == "explicit"
    drafts = alone.appeals.draft(BOB, made["appeal_id"])
    assert drafts["upheld"]["decision"] == "confirmed"
    assert drafts["overturned"]["decision"] == "dismissed"
    done = alone.appeals.decide(BOB, made["appeal_id"], Judgement(2, AppealChoice.OVERTURN, "misheard"))
    assert (done["outcome"], done["statement"]["decision"]) == ("overturned", "dismissed")
    assert "contact.add" in done["statement"]["facts"]
    case = alone.review.show(ANN, decided)
    assert (case["state"], case["finding"]) == ("decided", "dismissed")
    assert alone.review.report(ANN, 30)["appeals"]["of_appeals"] == 1.0
    assert alone.acts(made["appeal_id"]) == [Act.APPEAL_OPENED, Act.APPEAL_JUDGED, Act.APPEAL_DECIDED]


def test_evidence_is_kept_until_the_appeal_is_over(alone, decided):
    (clip,) = [clip for clip, _ in alone.store.clips(decided)]
    made = bring(alone, decided)
    assert alone.evidence.record(ANN.principal, clip).review == "appealed"
    judged(alone, made)
    alone.appeals.decide(BOB, made["appeal_id"], Judgement(2, AppealChoice.OVERTURN, "misheard"))
    record = alone.evidence.record(ANN.principal, clip)
    assert (record.review, record.retain_until) == ("dismissed", alone.at + 86_400.0)


def test_events_lead_back_to_the_decision(alone, decided):
    made = bring(alone, decided)
    judged(alone, made)
    alone.appeals.decide(BOB, made["appeal_id"], Judgement(2, AppealChoice.UPHOLD, "plainly said"))
    (decision,) = alone.told("c", CallEventType.REVIEW_DECIDED)
    (opened,) = alone.told("c", CallEventType.APPEAL_OPENED)
    (outcome,) = alone.told("c", CallEventType.APPEAL_DECIDED)
    assert opened["causationid"] == decision["id"]
    assert outcome["causationid"] == opened["id"]
    assert (outcome["data"]["decision"], outcome["data"]["finding"]) == ("upheld", "confirmed")
    for kind, one in ((CallEventType.APPEAL_OPENED, opened), (CallEventType.APPEAL_DECIDED, outcome)):
        DATA[kind].model_validate(one["data"])
    assert "我没有说过" not in json.dumps([opened, outcome], ensure_ascii=False)


def test_each_party_appeals_once_and_in_time(alone, decided):
    made = bring(alone, decided)
    with pytest.raises(CaseConflict):
        bring(alone, decided, Role.SHOPPER)
    judged(alone, made)
    alone.appeals.decide(BOB, made["appeal_id"], Judgement(2, AppealChoice.UPHOLD, "plainly said"))
    with pytest.raises(CaseConflict, match="before"):
        bring(alone, decided)
    assert bring(alone, decided, Role.SHOPPER)["state"] == "open"
    late = alone.case("vio_2", call_id="d")
    alone.decide(ANN, late)
    alone.at += ALONE.appeal_s + 1
    with pytest.raises(CaseConflict, match="over"):
        bring(alone, late)


def test_what_is_not_decided_cannot_be_appealed_against(alone):
    with pytest.raises(CaseConflict, match="no decision"):
        bring(alone, alone.case())


def test_roles_and_tenants_hold(alone, decided):
    made = bring(alone, decided)
    stranger = key(tenant="rival")
    for act in (
        lambda: bring_as(alone, stranger, decided),
        lambda: alone.appeals.show(stranger, made["appeal_id"]),
        lambda: alone.appeals.opinion(stranger, made["appeal_id"], Choice.DISMISS, 1),
        lambda: alone.appeals.draft(stranger, made["appeal_id"]),
        lambda: alone.appeals.decide(stranger, made["appeal_id"], Judgement(1, AppealChoice.UPHOLD, "no")),
    ):
        with pytest.raises((NoSuchCase, CaseRefused)):
            act()
    assert alone.appeals.list(stranger, AppealList())["appeals"] == []
    reviewer = person("rae", Duty.REVIEWER)
    with pytest.raises(CaseRefused, match="roles"):
        alone.appeals.opinion(reviewer, made["appeal_id"], Choice.DISMISS, 1)


def bring_as(court, who, case):
    return court.appeals.open(who, AppealWish(case, Role.MERCHANT, "words"))


def test_appeals_come_by_when_they_are_due(alone):
    made = []
    for n in range(5):
        case = alone.case(f"vio_{n}", call_id=f"c{n}")
        alone.decide(ANN, case)
        made.append(bring(alone, case)["appeal_id"])
        alone.at += 60
    seen, after = [], ""
    while True:
        page = alone.appeals.list(BOB, AppealList(after=after, limit=2))
        seen += [one["appeal_id"] for one in page["appeals"]]
        after = page["next"]
        if after is None:
            break
    assert seen == made


def test_whoever_has_judged_one_appeal_does_not_judge_the_next_one_in_the_case(alone, decided):
    made = bring(alone, decided)
    judged(alone, made)
    alone.appeals.decide(BOB, made["appeal_id"], Judgement(2, AppealChoice.OVERTURN, "misheard"))
    second = bring(alone, decided, Role.SHOPPER)
    with pytest.raises(CaseRefused, match="another person"):
        alone.review.claim(BOB, decided)
    assert alone.appeals.show(BOB, second["appeal_id"])["mine"]["decided_before"]
    assert judged(alone, second, CAT)["was"] == "dismissed"


def test_an_opinion_stays_once_the_decision_is_known(alone, decided):
    made = bring(alone, decided)
    judged(alone, made)
    with pytest.raises(CaseConflict, match="said what you think"):
        alone.appeals.opinion(BOB, made["appeal_id"], Choice.CONFIRM, 2)
    assert alone.acts(made["appeal_id"]).count(Act.APPEAL_JUDGED) == 1


def test_an_appeal_is_not_decided_by_who_has_lost_the_case_meanwhile(alone, decided):
    made = bring(alone, decided)
    judged(alone, made)

    def late(*told):
        alone.review.take_over(CAT, decided, "gone to lunch")
        return alone.desk.keep(*told)

    appeals = ServerAppeals(replace(alone.parts, tell=late))
    with pytest.raises(CaseConflict) as refused:
        appeals.decide(BOB, made["appeal_id"], Judgement(2, AppealChoice.UPHOLD, "plainly said"))
    assert refused.value.news["claimed_by"] == CAT.text
    assert alone.appeals.show(CAT, made["appeal_id"])["state"] == "judged"
    assert alone.told("c", CallEventType.APPEAL_DECIDED) == []


def test_a_clip_is_kept_for_an_appeal_while_another_case_of_it_is_open(alone):
    one, _ = alone.case("vio_1"), alone.case("vio_2")
    clip = alone.clip("vio_1", "vio_2")
    alone.decide(ANN, one, Choice.DISMISS)
    bring(alone, one)
    assert alone.evidence.record(ANN.principal, clip).review == "appealed"


def test_who_looks_at_an_appeal_is_told_in_the_chain(alone, decided):
    made = bring(alone, decided)
    before = len(alone.acts(decided))
    alone.appeals.show(BOB, made["appeal_id"])
    assert alone.acts(decided)[before:] == [Act.CASE_VIEWED]
    judged(alone, made)
    assert alone.acts(decided)[-1] == Act.CASE_OPENED

"""What cases know of people is given out when they ask, and forgotten when they ask or its time is over."""

import json

import pytest
import sqlalchemy as sa

from guardian.core.appeals import AppealChoice
from guardian.core.audit import Act
from guardian.core.calls import CallEventType
from guardian.core.cases import CaseState, Choice
from guardian.core.errors import CaseConflict
from guardian.core.evidence_desk import HoldWish
from guardian.core.retention import Retention
from guardian.core.review_desk import AppealWish, Judgement, Queue
from guardian.core.violations import Role
from guardian.store.case_forgetting import CaseForgetting
from guardian.store.case_tables import appeals, case_history, cases
from guardian.store.evidence_changes import Doing
from guardian.store.evidence_tables import evidence_holds
from tests.review.calls import spec, violation
from tests.review.court import court, key, person

ANN, BOB = person("ann"), person("bob")
CLOCK = "guardian:-/clock"
SERVICE = key()
ADMIN = key("k_admin")


@pytest.fixture
def alone(database, tmp_path):
    with court(database, tmp_path / "clips") as made:
        yield made


def everything(court) -> str:
    """All that the tables of review hold."""
    with court.database.reading() as db:
        rows = [row for table in (cases, case_history, appeals) for row in db.execute(sa.select(table))]
    return json.dumps([list(map(str, row)) for row in rows], ensure_ascii=False)


def test_a_participant_is_given_what_cases_know_and_then_forgotten(alone):
    case = alone.case("vio_1")
    alone.clip("vio_1")
    alone.decide(ANN, case, note="she said her name is Wang")
    made = alone.appeals.open(SERVICE, AppealWish(case, Role.MERCHANT, "never said it"))
    waiting = alone.case("vio_2", call_id="d")
    told = alone.evidence.export(ADMIN.principal, "m_1")["cases"]
    assert [one["case_id"] for one in told] == sorted([case, waiting])
    assert told[0]["said"]["phrase"] == "加微信"
    assert told[0]["appeals"][0]["words"] == "never said it"
    assert alone.evidence.export(key(tenant="rival").principal, "m_1")["cases"] == []
    alone.review.claim(BOB, case)
    alone.appeals.opinion(BOB, made["appeal_id"], Choice.CONFIRM, 1)
    assert alone.evidence.delete(ADMIN.principal, "m_1")["cases"] == {"forgotten": 1, "held": 1}
    alone.appeals.decide(BOB, made["appeal_id"], Judgement(2, AppealChoice.UPHOLD, "plain"))
    assert alone.evidence.delete(ADMIN.principal, "m_1")["cases"] == {"forgotten": 1, "held": 0}
    left = everything(alone)
    assert not any(word in left for word in ("m_1", "u_1", "Wang", "never said", "加微信", "薇信", "vio_1"))
    assert alone.store.find(waiting, "acme").state is CaseState.WITHDRAWN
    assert alone.acts(case)[-1] == Act.CASE_FORGOTTEN
    assert alone.review.list(ANN, Queue())["cases"] == []
    assert alone.review.show(ANN, waiting)["call_id"] is None


def test_what_a_legal_hold_keeps_is_kept_here_too(alone):
    case = alone.case("vio_1")
    clip = alone.clip("vio_1")
    alone.evidence.hold(ADMIN.principal, clip, HoldWish("legal", "claim 7", alone.keeper.now() + 86_400))
    assert alone.evidence.delete(ADMIN.principal, "u_1")["cases"] == {"forgotten": 0, "held": 1}
    assert alone.store.find(case, "acme").party == "m_1"


def test_words_go_when_their_time_is_over_and_names_when_records_end(alone):
    case = alone.case("vio_1")
    alone.decide(ANN, case, note="plain as day")
    forgetting = CaseForgetting(alone.database)
    retention = Retention()
    over = alone.at + retention.confirmed_s + 1
    assert forgetting.sweep(Doing("guardian:-/clock", over - 2), retention.records_s) == ([], 0)
    assert forgetting.sweep(Doing("guardian:-/clock", over), retention.records_s) == ([], 1)
    assert forgetting.sweep(Doing("guardian:-/clock", over), retention.records_s) == ([], 0)
    record = alone.store.find(case, "acme")
    assert (record.said, record.party) == ({}, "m_1")
    assert "plain as day" not in everything(alone)
    links, touched = forgetting.sweep(
        Doing("guardian:-/clock", over + retention.records_s), retention.records_s
    )
    assert (len(links), touched) == (1, 1)
    record = alone.store.find(case, "acme")
    assert (record.party, record.finding.value) == ("", "confirmed")


def test_remarks_go_where_there_are_no_words_too(alone):
    case = alone.complaint()
    alone.review.note(ANN, case, "she is afraid of him")
    alone.decide(ANN, case, note="plain as day")
    forgetting, retention = CaseForgetting(alone.database), Retention()
    over = alone.at + retention.confirmed_s + 1
    assert forgetting.sweep(Doing(CLOCK, over), retention.records_s) == ([], 1)
    assert forgetting.sweep(Doing(CLOCK, over), retention.records_s) == ([], 0)
    left = everything(alone)
    assert not any(words in left for words in ("afraid", "plain as day"))


def test_nothing_is_remarked_once_the_time_of_a_case_is_over(alone):
    case = alone.case("vio_1")
    alone.evidence.delete(ADMIN.principal, "m_1")
    with pytest.raises(CaseConflict, match="over"):
        alone.review.note(ANN, case, "it was Wang")
    kept = alone.case("vio_3", call_id="e")
    alone.at += Retention().unreviewed_s
    with pytest.raises(CaseConflict, match="over"):
        alone.review.note(ANN, kept, "it was Wang")
    assert "Wang" not in everything(alone)


def test_words_do_not_come_back_with_a_remark(alone):
    """They are gone with their clip; what is told of the violation afterwards brings none."""
    case = alone.case("vio_1")
    clip = alone.clip("vio_1")
    alone.evidence.erase(ADMIN.principal, clip)
    alone.review.note(ANN, case, "it was plain")
    update = violation("vio_1", kind=CallEventType.VIOLATION_UPDATED, heard="加我的薇信", level="BLOCK")
    alone.desk.keep(spec(), update).result(10)
    assert alone.store.find(case, "acme").said == {}


def test_words_stay_while_a_legal_hold_or_an_appeal_needs_them(alone):
    held, appealed = alone.case("vio_1"), alone.case("vio_2", call_id="d")
    clip = alone.clip("vio_1")
    alone.decide(ANN, held)
    alone.decide(ANN, appealed)
    alone.appeals.open(SERVICE, AppealWish(appealed, Role.MERCHANT, "never said it"))
    retention = Retention()
    over = alone.at + retention.confirmed_s + 1
    with alone.database.writing() as db:
        db.execute(
            evidence_holds.insert().values(evidence_id=clip, owner="legal", reason="claim 7", until=over + 60)
        )
    forgetting = CaseForgetting(alone.database)
    assert forgetting.sweep(Doing(CLOCK, over), retention.records_s) == ([], 0)
    assert alone.store.find(held, "acme").said
    assert forgetting.sweep(Doing(CLOCK, over + 61), retention.records_s) == ([], 1)
    assert alone.store.find(appealed, "acme").said


def test_what_a_judge_wrote_is_given_out_and_forgotten_too(alone):
    case = alone.case("vio_1", call_id="call_of_wang")
    alone.decide(ANN, case)
    made = alone.appeals.open(SERVICE, AppealWish(case, Role.MERCHANT, "never said it"))
    alone.review.claim(BOB, case)
    alone.appeals.opinion(BOB, made["appeal_id"], Choice.CONFIRM, 1)
    judgement = Judgement(2, AppealChoice.UPHOLD, "Wang said it", {"facts": "Wang said it"})
    alone.appeals.decide(BOB, made["appeal_id"], judgement)
    (told,) = alone.evidence.export(ADMIN.principal, "m_1")["cases"]
    assert told["appeals"][0]["statement"] == {"facts": "Wang said it"}
    alone.evidence.delete(ADMIN.principal, "m_1")
    left = everything(alone)
    assert not any(words in left for words in ("Wang", "call_of_wang", "never said"))
    assert alone.appeals.show(BOB, made["appeal_id"])["statement"] == {}

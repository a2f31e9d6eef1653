"""The office's pages as forms: without any script, as whoever may see them."""

import re

import pytest

from guardian.core.people import MAY, Duty
from guardian.core.rulebook import unpacked
from guardian.web.navigation import PLACES
from tests.staff import PASSWORD
from tests.web.bureau import bureau, fields, until
from tests.web.test_events import SECRET, receiver_in_a_thread


@pytest.fixture(scope="module")
def office(tmp_path_factory):
    with bureau(tmp_path_factory.mktemp("office")) as made:
        yield made


def test_the_header_leads_where_somebody_may_go_and_nowhere_else(office):
    for duty in Duty:
        with_ = office.enter(duty)
        text = with_.get("/review/account").text
        for place in PLACES:
            assert (f'href="{place.path}"' in text) == (duty in MAY[place.permission]), (duty, place.path)


def test_every_page_opens_in_both_languages_for_whoever_may_see_it(office):
    office.decided("opens", phrase="加微信")
    for language, heading in (("en", "<h1>Rules"), ("zh", "<h1>规则")):
        everybody = office.enter(*(duty for duty in Duty if duty is not Duty.AUDITOR), language=language)
        for place in PLACES:
            answer = everybody.get(place.path)
            assert answer.status_code == 200, (place.path, answer.text)
            assert "Content-Security-Policy" in answer.headers
            assert ' style="' not in answer.text
            assert 'aria-current="page"' in answer.text
        assert heading in everybody.get("/review/rules").text


@pytest.mark.parametrize(
    "path",
    ["appeals/x", "appeals/appeal_01JD0000000000000000000000", "rules/none", "people/p_000000000000", "none"],
)
def test_what_is_not_there_is_a_page_in_the_persons_language(office, path):
    everybody = office.enter(Duty.ADMIN, Duty.SENIOR, Duty.RULES, language="zh")
    answer = everybody.get(f"/review/{path}")
    assert answer.status_code == 404
    assert answer.headers["content-type"].startswith("text/html")
    assert "没有" in answer.text
    assert "There is no" not in answer.text


# --- rules ------------------------------------------------------------------------------------


def test_a_rule_is_switched_with_a_reason_and_holds_in_running_calls(office):
    rules, path = office.enter(Duty.RULES), "/review/rules/payment.wallet"
    office.call("switched")
    host = office.server.host
    refused = rules.post(f"{path}/state", data={"state": "live", "reason": " "})
    assert (refused.status_code, 'role="alert"' in refused.text) == (422, True)
    done = rules.post(f"{path}/state", data={"state": "live", "reason": "quiet for a week"})
    assert (done.status_code, done.headers["location"]) == (303, f"{path}?said=rules_switched")
    page = rules.get(done.headers["location"]).text
    assert "The rule is switched" in page
    assert "quiet for a week" in page
    assert "<del>− shadow</del>" in page
    assert "<ins>+ live</ins>" in page

    def live():
        book = unpacked(host.rules["switched"])
        return next(rule for rule in book.rules if rule.id == "payment.wallet").state == "live"

    until(live, limit_s=5.0)
    chain = office.enter(Duty.AUDITOR).get("/v1/audit", params={"act": "rule.changed"}).json()["links"]
    told = next(link for link in chain if link["subject"] == "payment.wallet")
    assert (told["detail"]["reason"], told["detail"]["now"]) == ("quiet for a week", {"state": "live"})


def test_a_line_is_tried_and_hostile_text_is_only_text(office):
    senior = office.enter(Duty.SENIOR)
    line = "<img src=x onerror=alert(1)> 加我的微信"
    page = senior.post("/review/rules/test", data={"lines": f"{line}\n你好", "speaker": "merchant"})
    assert page.status_code == 200
    assert "<img" not in page.text
    assert "contact.add" in page.text
    assert re.search(r"<th scope=\"row\">你好</th>\s*<td><span class=\"chip plain\">Pass", page.text)


def test_an_exception_is_proposed_weighed_written_in_shadow_and_put_in_force(office):
    office.decided("false-1", "dismiss", phrase="加湿器微信")
    office.decided("false-2", "dismiss", phrase="加湿器微信")
    office.decided("true-1", "confirm", phrase="加微信聊")
    senior, rules = office.enter(Duty.SENIOR), office.enter(Duty.RULES)
    report = senior.get("/review/report").text
    path = "/review/rules/contact.add/exception"
    assert "加湿器微信" in report
    assert f'action="{path}"' in report
    proposal = {"words": "湿器", "where": "near", "within": "4"}
    page = senior.post(path, data=proposal).text
    assert "加湿器微信" in page
    assert "加微信聊" not in page
    assert re.findall(r"<dd>(\d+)</dd>", page)[1:] == ["2", "0"]
    wide = senior.post(path, data={**proposal, "words": "微信"}).text
    assert "also hide what people have confirmed" in wide
    before = sorted(office.folder.rglob("*.yaml"))
    refused = senior.post(f"{path}/write", data={**proposal, "reason": "humidifiers", "to": "shadow"})
    assert refused.status_code == 403
    assert sorted(office.folder.rglob("*.yaml")) == before
    written = rules.post(f"{path}/write", data={**proposal, "reason": "humidifiers", "to": "shadow"})
    assert written.status_code == 303, written.text
    twins = [one for one in office.api("GET", "/v1/rules").json()["rules"] if ".with-" in one["id"]]
    assert [(one["state"], one["patterns"]) for one in twins] == [("shadow", ["加 ~2 {channel}"])]
    assert "湿器" in rules.get("/review/rules/contact.add").text
    office.call("excused")
    first = office.server.host.rules["excused"]
    lines = {"lines": ["加湿器微信", "加微信聊"]}

    def flagged():
        return [one["flagged"] for one in office.api("POST", "/v1/rules/test", json=lines).json()["results"]]

    assert flagged() == [True, True]
    put = rules.post(f"{path}/write", data={**proposal, "reason": "holds", "to": "live"})
    assert put.status_code == 303
    assert flagged() == [False, True]
    until(lambda: office.server.host.rules["excused"] != first, limit_s=5.0)
    assert [one for one in office.api("GET", "/v1/rules").json()["rules"] if ".with-" in one["id"]] == []
    gone = rules.post(f"{path}/write", data={**proposal, "reason": "undone", "to": "removed"})
    assert gone.status_code == 303
    assert flagged() == [True, True]


@pytest.mark.parametrize("words", ["", "{}|&", "x" * 81])
def test_an_exception_of_nothing_is_refused_and_stays_typed(office, words):
    rules = office.enter(Duty.RULES)
    path = "/review/rules/contact.add/exception"
    for address, more in ((path, {}), (f"{path}/write", {"reason": "why", "to": "live"})):
        answer = rules.post(address, data={"words": words, **more})
        assert answer.status_code == 422
        assert 'role="alert"' in answer.text
        assert words in answer.text


def test_words_of_an_exception_are_only_words(office):
    rules = office.enter(Duty.RULES)
    path = "/review/rules/contact.add/exception"
    hostile = '"]}}\nrules: [{id: evil, category: harassment}]\n# ~3 {wallet}|a'
    data = {"words": hostile, "where": "near", "within": "2", "reason": "just words", "to": "live"}
    assert rules.post(f"{path}/write", data=data).status_code == 303
    ids = [one["id"] for one in office.api("GET", "/v1/rules").json()["rules"]]
    assert sorted(ids) == ["contact.add", "payment.wallet"]
    assert rules.post(f"{path}/write", data={**data, "to": "removed"}).status_code == 303


# --- appeals ----------------------------------------------------------------------------------


def test_an_appeal_is_judged_by_another_person_who_does_not_know_what_was_decided(office):
    case_id = office.case("appealed")
    decider, judge = office.enter(Duty.SENIOR), office.enter(Duty.SENIOR)
    lease = decider.post(f"/v1/cases/{case_id}/claim").json()
    body = {"lease": lease["lease"], "version": lease["version"], "decision": "confirm", "reason": "explicit"}
    assert decider.post(f"/v1/cases/{case_id}/decide", json=body).status_code == 200
    appeal_id = office.appeal(case_id, "<b>那是误会</b>")
    path = f"/review/appeals/{appeal_id}"
    assert f'href="{path}"' in judge.get("/review/appeals").text
    own = decider.get(path).text
    assert "You have decided this case" in own
    assert f"{path}/claim" not in own
    seen = judge.get(path).text
    assert "&lt;b&gt;那是误会" in seen
    assert "Folded away" in seen
    assert "said or shown plainly" not in seen
    assert judge.post(f"{path}/claim").status_code == 303
    page = judge.get(path).text
    assert "Folded away" in page
    form = fields(page, f"{path}/opinion")
    assert judge.post(f"{path}/opinion", data={**form, "opinion": "dismiss"}).status_code == 303
    page = judge.get(path).text
    assert "said or shown plainly" in page
    form = fields(page, f"{path}/decide")
    typed = {"decision": "overturn", "reason": "misheard", "statement-facts": "We listened again."}
    stale = judge.post(f"{path}/decide", data={**form, **typed, "version": "1"})
    assert stale.status_code == 409
    assert "We listened again." in stale.text
    assert "misheard" in stale.text
    assert re.search(r'value="overturn" required checked', stale.text)
    form = fields(stale.text, f"{path}/decide")
    done = judge.post(f"{path}/decide", data={**form, **typed})
    assert done.status_code == 303, done.text
    page = judge.get(done.headers["location"]).text
    assert "Overturned" in page
    assert "We listened again." in page
    told = office.api("GET", f"/v1/appeals/{appeal_id}").json()
    assert told["statement"]["facts"] == "We listened again."
    assert told["statement"]["automation"]["decision"] == "human"
    assert told["statement"]["appeal"] == "overturned"


def test_a_claim_that_ended_takes_nothing_typed_along(office):
    case_id = office.decided("let-go")
    judge = office.enter(Duty.SENIOR)
    appeal_id = office.appeal(case_id)
    path = f"/review/appeals/{appeal_id}"
    assert judge.post(f"{path}/claim").status_code == 303
    form = fields(judge.get(path).text, f"{path}/opinion")
    lease = judge.post(f"/v1/cases/{case_id}/claim").json()["lease"]
    assert judge.post(f"/v1/cases/{case_id}/release", json={"lease": lease}).status_code == 200
    lost = judge.post(f"{path}/opinion", data={**form, "opinion": "confirm"})
    assert lost.status_code == 409
    assert re.search(r'value="confirm" required checked', lost.text)
    form = fields(lost.text, f"{path}/opinion")
    assert form["claim"] == "1"
    assert judge.post(f"{path}/opinion", data={**form, "opinion": "confirm"}).status_code == 303


# --- people -----------------------------------------------------------------------------------


def test_an_account_is_made_changed_and_disabled(office):
    admin = office.enter(Duty.ADMIN, language="zh")
    new = {"name": "zhang.san", "display": "张三", "language": "zh", "zone": "Asia/Shanghai"}
    weak = admin.post("/review/people", data={**new, "role-reviewer": "on", "password": "tooshort"})
    assert weak.status_code == 422
    assert "密码至少 12 个字符" in weak.text
    assert 'value="张三"' in weak.text
    assert "tooshort" not in weak.text
    both = {"role-auditor": "on", "role-admin": "on", "password": PASSWORD}
    assert "审计员不能兼任其他角色" in admin.post("/review/people", data={**new, **both}).text
    made = admin.post("/review/people", data={**new, "role-reviewer": "on", "password": PASSWORD})
    assert made.headers["location"] == "/review/people?said=people_made"
    (account_id,) = [
        one["id"] for one in admin.get("/v1/people").json()["people"] if one["name"] == new["name"]
    ]
    path = f"/review/people/{account_id}"
    change = {"display": "张三丰", "language": "zh", "zone": "Asia/Shanghai", "role-senior": "on"}
    assert admin.post(path, data=change).status_code == 303
    assert re.search(r'name="role-senior" checked', admin.get(path).text)
    assert admin.post(f"{path}/password", data={"password": "x"}).status_code == 422
    assert admin.post(f"{path}/password", data={"password": "another good password"}).status_code == 303
    assert admin.post(f"{path}/disable").status_code == 303
    assert "已停用" in admin.get(path).text
    assert admin.post(f"{path}/enable").status_code == 303
    own = admin.get("/v1/me").json()["id"]
    oneself = admin.post(f"/review/people/{own}/disable")
    assert oneself.status_code == 409
    assert "不能停用自己的账户" in oneself.text
    assert f"/review/people/{own}/disable" not in admin.get(f"/review/people/{own}").text


# --- events, operations, the chain ------------------------------------------------------------


def test_dead_letters_are_delivered_anew_given_up_and_an_endpoint_enabled(tmp_path):
    with receiver_in_a_thread(["410 Gone"]) as receiver:
        (tmp_path / "secret").write_text(SECRET)
        hook = {
            "name": "hook",
            "url": receiver.url,
            "secret": {"file": str(tmp_path / "secret")},
            "allow_private": True,
            "types": ["complaint.received"],
        }
        events = {"webhooks": [hook], "retry_s": [0.001] * 3, "file": ""}
        with bureau(tmp_path, events=events) as office:
            admin = office.enter(Duty.ADMIN)
            office.call("told")
            assert office.api("POST", "/v1/calls/told/complaint").status_code == 202
            until(lambda: "/endpoints/hook/enable" in admin.get("/review/events").text)
            receiver.answers[:] = ["500 Internal Server Error"] * 50
            done = admin.post("/review/events/endpoints/hook/enable")
            assert done.headers["location"] == "/review/events?said=events_enabled"
            until(lambda: 'name="letter-1"' in admin.get("/review/events").text)
            page = admin.get("/review/events?endpoint=hook").text
            letter = re.search(r'name="letter-1" value="(hook [^"]+)"', page)[1]
            for data, said in (
                ({}, "events_none"),
                ({"letter-1": "hook none"}, "events_replayed&n=0"),
                ({"letter-1": letter}, "events_replayed&n=1"),
            ):
                answer = admin.post("/review/events/replay", data=data)
                assert answer.headers["location"] == f"/review/events?said={said}"
            assert "1 events are delivered" in admin.get("/review/events?said=events_replayed&n=1").text
            until(lambda: 'name="letter-1"' in admin.get("/review/events").text)
            unsure = admin.post("/review/events/discard", data={"letter-1": letter})
            assert unsure.headers["location"].endswith("events_unsure")
            given_up = admin.post(
                "/review/events/discard", data={"all": "1", "endpoint": "hook", "sure": "on"}
            )
            assert given_up.headers["location"].endswith("events_discarded&n=1")
            assert "Everything was taken" in admin.get("/review/events").text


def test_live_calls_are_shown_without_names_and_to_their_platform_only(office):
    office.call("shown-live")
    viewer, rival = office.enter(Duty.VIEWER), office.enter(Duty.VIEWER, tenant="rival")
    page = viewer.get("/review/operations").text
    assert "shown-live" in page
    assert "_secret" not in page
    now = viewer.get("/review/operations/now").json()
    assert "shown-live" in [row[0] for row in now["calls"]]
    assert all(isinstance(cell, str) for row in [*now["calls"], *now["stages"]] for cell in row)
    theirs = rival.get("/review/operations/now").json()
    assert (theirs["calls"], theirs["figures"]["calls"]) == ([], "0")


def test_the_chain_is_chosen_from_and_paged(office):
    admin, auditor = office.enter(Duty.ADMIN, display="Wei Admin"), office.enter(Duty.AUDITOR)
    office.staff.hire(Duty.VIEWER, tenant="acme")
    office.enter(Duty.VIEWER)
    page = auditor.get("/review/audit").text
    assert "Account made" in page
    assert "guardian audit verify" in page
    chosen = auditor.get("/review/audit", params={"act": "account.made"}).text
    assert "Signed in" not in re.sub(r"<option.*?</option>", "", chosen)
    first = min(int(number) for number in re.findall(r'<th scope="row" class="number">(\d+)</th>', page))
    earlier = auditor.get("/review/audit", params={"before": first}).text
    numbers = [int(number) for number in re.findall(r'<th scope="row" class="number">(\d+)</th>', earlier)]
    assert all(number < first for number in numbers)
    assert "Wei Admin" in admin.get("/review/audit").text
    assert "Wei Admin" not in page
    hostile = auditor.get("/review/audit", params={"subject": '"><script>alert(1)</script>', "before": "x"})
    assert (hostile.status_code, "<script>alert" in hostile.text) == (200, False)


def test_saying_is_for_what_the_pages_know(office):
    admin = office.enter(Duty.ADMIN)
    for said in ("password", "role_admin", "<b>", "events_replayed&n=<b>", "events_replayed&n=" + "9" * 9):
        page = admin.get(f"/review/events?said={said}").text
        assert "<b>" not in page
        assert "9" * 9 not in page

"""The queue, its feed and the pages of cases over HTTP."""

from __future__ import annotations

import json
import re
import time
from contextlib import ExitStack

import httpx
import pytest

from guardian.core.people import Duty
from tests.casework import working
from tests.review.calls import complaint, spec, violation
from tests.staff import Staff

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
HERE = re.compile(r"/review/cases/(case_\w+)")


class House:
    """A server on which one person decides, and people of two platforms."""

    def __init__(self, serve, **review):
        given = {"second_levels": [], "second_share": 0.0, **review}
        self.server = serve(review=given)
        self.staff = Staff(self.server.settings)
        self.clients: list[httpx.Client] = []

    def hire(self, *duties, **facts) -> httpx.Client:
        person = self.staff.hire(*(duties or (Duty.SENIOR,)), **facts)
        self.clients.append(self.staff.client(self.server.url, person))
        return self.clients[-1]

    def case(self, cause, tenant="local", event=None, **changes) -> None:
        """Is back when the event is on the disk, and the case with it."""
        event = event or violation(cause, call_id=cause, **changes)
        self.server.publish(spec(call_id=cause, tenant=tenant), event)
        database = self.staff._database
        until = time.monotonic() + 20
        while time.monotonic() < until:
            with database.reading() as db:
                if db.exec_driver_sql("SELECT 1 FROM cases WHERE call_id = ?", (cause,)).first():
                    return
            time.sleep(0.02)
        raise AssertionError("no case")

    def close(self) -> None:
        for client in self.clients:
            client.close()
        self.staff.close()


@pytest.fixture
def house(serve):
    made = House(serve)
    yield made
    made.close()


def ids(answer: httpx.Response) -> list[str]:
    return HERE.findall(answer.text)


def told(stream: httpx.Response):
    """The events of a feed as they come."""
    for line in stream.iter_lines():
        if line.startswith("data: "):
            yield json.loads(line.removeprefix("data: "))


def test_the_queue_shows_what_waits_and_filters_by_its_address(house):
    house.case("c1", rule="a.b")
    house.case("c2", level="BLOCK", category="harassment.threat", language="en")
    house.case("c3", event=complaint("shopper", "privacy", "c3"))
    client = house.hire(language="zh")
    page = client.get("/review/queue")
    assert page.status_code == 200
    assert len(ids(page)) == 3
    for query, count in (
        ("level=BLOCK", 1),
        ("category=complaint", 1),
        ("language=en&level=", 1),
        ("q=c1", 1),
    ):
        assert len(ids(client.get(f"/review/queue?{query}"))) == count, query
    assert "没有待审案件" in client.get("/review/queue?state=decided").text
    odd = client.get("/review/queue?level=%3Cscript%3E&state=odd")
    assert (odd.status_code, len(ids(odd))) == (422, 3)
    assert "<script>" not in odd.text.replace('<script type="module"', "")


def test_pages_follow_each_other(house, monkeypatch):
    monkeypatch.setattr("guardian.web.queue._PAGE", 2)
    for n in range(5):
        house.case(f"c{n}")
    client, seen, path = house.hire(Duty.VIEWER), [], "/review/queue?language=zh"
    while path:
        page = client.get(path)
        seen += ids(page)
        found = re.search(r'href="(/review/queue\?[^"]*after=[^"]*)"', page.text)
        path = found[1].replace("&amp;", "&") if found else ""
        assert not path or "language=zh" in path
    assert len(seen) == len(set(seen)) == 5


def test_start_takes_the_next_by_the_same_filters_and_says_when_there_is_none(house):
    house.case("c1", level="BLOCK")
    house.case("c2", language="en")
    client = house.hire(Duty.REVIEWER)
    one = client.post("/review/queue", data={"language": "en"})
    assert one.status_code == 303
    case = HERE.search(one.headers["location"])[1]
    assert one.headers["location"].endswith("?language=en")
    page = client.get(one.headers["location"])
    assert 'name="language" value="en"' in page.text
    lease, version = (
        re.search(rf'name="{name}" value="([^"]+)"', page.text)[1] for name in ("lease", "version")
    )
    form = {"do": "decide_next", "lease": lease, "version": version, "language": "en"}
    nothing = client.post(f"/review/cases/{case}", data=form)
    assert nothing.status_code == 422
    done = client.post(f"/review/cases/{case}", data={**form, "verdict": "confirm.explicit", "warn": "1"})
    assert done.headers["location"] == "/review/queue?said=none_left"
    assert "Nothing waits for you" in client.get(done.headers["location"]).text
    again = client.post(f"/review/cases/{case}", data={**form, "verdict": "confirm.explicit", "note": "kept"})
    assert again.status_code == 409
    assert ">kept</textarea>" in again.text


def test_whoever_has_decided_is_told_so_and_a_take_over_needs_a_reason(house):
    house.case("c1")
    one, boss = house.hire(Duty.REVIEWER), house.hire()
    case = HERE.search(one.post("/review/queue", data={}).headers["location"])[1]
    path = f"/review/cases/{case}"
    assert boss.post(path, data={"do": "claim"}).status_code == 409
    assert boss.post(path, data={"do": "takeover", "why": " "}).status_code == 422
    assert boss.post(path, data={"do": "takeover", "why": "she is ill"}).status_code in (200, 303)
    assert 'name="lease"' in boss.get(path).text
    assert one.post(path, data={"do": "takeover", "why": "mine"}).status_code == 403
    lease = re.search(r'name="lease" value="([^"]+)"', boss.get(path).text)[1]
    assert boss.post(path, data={"do": "release", "lease": lease}).headers["location"].endswith("released")
    assert one.post(path, data={"do": "claim"}).status_code == 303


@pytest.mark.parametrize(("language", "words"), [("en", "There is no such case"), ("zh", "没有这个案件")])
def test_a_case_that_is_none_or_anothers_is_a_page_in_ones_language(house, language, words):
    house.case("c1", tenant="rival")
    other = house.hire(tenant="rival")
    (theirs,) = ids(other.get("/review/queue"))
    client = house.hire(language=language)
    for case in (theirs, "case_01J9ZK3M8Q6T4V7X2B5N0C1D2E", "x", "%3Cb%3E", "..%2Fqueue"):
        for answer in (
            client.get(f"/review/cases/{case}"),
            client.post(f"/review/cases/{case}", data={"do": "claim"}),
        ):
            assert answer.status_code == 404, case
            if "%2F" not in case:
                assert words in answer.text
                assert answer.headers["content-type"].startswith("text/html")


def test_many_are_dismissed_after_their_number_was_seen(house):
    for n in range(3):
        house.case(f"c{n}", rule="contact.add")
    house.case("c9", rule="pay.bank")
    boss = house.hire()
    form = {"rule": "contact.add", "reason": "exception_missing", "category": "", "language": ""}
    assert boss.post("/review/queue/dismiss", data={"rule": "contact.add"}).status_code == 422
    counted = boss.post("/review/queue/dismiss", data=form)
    assert 'value="3"' in counted.text
    assert boss.post("/review/queue/dismiss", data={**form, "count": "2"}).status_code == 409
    assert "3 dismissed" in boss.post("/review/queue/dismiss", data={**form, "count": "3"}).text
    assert len(ids(boss.get("/review/queue"))) == 1


def test_the_feed_says_how_many_and_nothing_else(house):
    house.case("c-secret", rule="secret.rule")
    client, other = house.hire(Duty.VIEWER), house.hire(tenant="rival")
    since = re.search(r'data-feed="([^"]+)"', client.get("/review/queue").text)[1]
    with client.stream("GET", since) as stream, other.stream("GET", "/review/queue/feed") as theirs:
        assert stream.headers["content-type"].startswith("text/event-stream")
        events = told(stream)
        assert next(events) == {"waiting": 1, "new": 0}
        assert next(told(theirs)) == {"waiting": 0, "new": 0}
        house.case("c-new", tenant="local")
        assert next(events) == {"waiting": 2, "new": 1}


def test_somebody_has_two_feeds_at_a_time_and_gets_them_back(house):
    client = house.hire()
    with client.stream("GET", "/review/queue/feed") as one, client.stream("GET", "/review/queue/feed") as two:
        events = told(one), told(two)
        assert [next(some) for some in events] == [{"waiting": 0, "new": 0}] * 2
        assert client.get("/review/queue/feed").status_code == 429
    until = time.monotonic() + 20
    while True:
        with client.stream("GET", "/review/queue/feed") as again:
            if again.status_code == 200:
                break
        assert time.monotonic() < until
        time.sleep(0.05)
    assert client.get("/review/queue/feed?since=x").status_code == 422


def test_feeds_end_with_the_server(tmp_path):
    with ExitStack() as after:
        with working(tmp_path) as work:
            client = after.enter_context(work.staff.client(work.server.url, work.staff.hire(Duty.VIEWER)))
            events = told(after.enter_context(client.stream("GET", "/review/queue/feed")))
            assert next(events) == {"waiting": 0, "new": 0}
        assert list(events) == []


def test_what_was_opened_today_is_counted_and_a_break_is_offered(tmp_path):
    with working(tmp_path, review={"break_after_s": 1e-6, "break_s": 3600.0}) as work:
        case = work.case("c1")
        with work.staff.client(work.server.url, work.staff.hire(Duty.REVIEWER)) as client:
            path = f"/review/cases/{case}"
            assert "Clips opened today" not in client.get(path).text
            assert client.post(path, data={"do": "claim"}).status_code == 303
            assert "Clips opened today" not in client.get(path).text  # Reading is no playing.
            (clip,) = work.boss.get(f"/v1/cases/{case}").json()["clips"]
            for part in ("media", "merchant", "media"):
                url = client.post(f"/v1/evidence/{clip['evidence_id']}/links", json={"part": part}).json()[
                    "url"
                ]
                assert client.get(url).status_code == 200
            page = client.get(path).text
            assert "Clips opened today: 1," in page
            assert "A break of 1 h" in page
        with work.staff.client(work.server.url, work.staff.hire(Duty.REVIEWER)) as other:
            assert "Clips opened today" not in other.get("/review/queue").text

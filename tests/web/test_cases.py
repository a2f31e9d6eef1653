"""Cases and appeals over HTTP: who may, what is refused how, and that tenants see their own."""

import json
import time
from itertools import product

import httpx
import pytest

from guardian.evidence.folder import Folder
from guardian.evidence.keyfile import EvidenceKeyFile
from guardian.evidence.sealing import Sealer
from guardian.web.keyfile import KeyFile
from tests.evidence.estate import ready, write_clip
from tests.review.calls import complaint, spec, violation

CASE = "case_01J9ZK3M8Q6T4V7X2B5N0C1D2E"
APPEAL = "appeal_01J9ZK3M8Q6T4V7X2B5N0C1D2E"
LEASE = "lease_01J9ZK3M8Q6T4V7X2B5N0C1D2E"
DECISION = {"lease": LEASE, "version": 1, "decision": "confirm", "reason": "explicit"}
ROUTES = [
    ("GET", "/v1/cases", None),
    ("POST", "/v1/cases/next", {}),
    ("POST", "/v1/cases/dismiss", {"reason": "false_positive"}),
    ("GET", "/v1/review/report", None),
    ("GET", "/v1/cases/{case}", None),
    ("GET", "/v1/cases/{case}/earlier", None),
    ("POST", "/v1/cases/{case}/claim", None),
    ("POST", "/v1/cases/{case}/renew", {"lease": LEASE}),
    ("POST", "/v1/cases/{case}/release", {"lease": LEASE}),
    ("POST", "/v1/cases/{case}/takeover", {"reason": "gone to lunch"}),
    ("POST", "/v1/cases/{case}/note", {"note": "hello"}),
    ("POST", "/v1/cases/{case}/decide", DECISION),
    ("GET", "/v1/appeals", None),
    ("POST", "/v1/appeals", {"case_id": "{case}", "role": "merchant", "statement": "no"}),
    ("GET", "/v1/appeals/{appeal}", None),
    ("GET", "/v1/appeals/{appeal}/draft", None),
    ("POST", "/v1/appeals/{appeal}/opinion", {"version": 1, "opinion": "dismiss"}),
    ("POST", "/v1/appeals/{appeal}/decide", {"version": 1, "decision": "uphold", "reason": "plain"}),
]
ABOUT_ONE = [route for route in ROUTES if any(mark in json.dumps(route) for mark in ("{case}", "{appeal}"))]


@pytest.fixture
def house(serve, tmp_path):
    return House(serve, tmp_path / "data")


class House:
    """A server with keys of two tenants; one person decides."""

    def __init__(self, serve, data, **sections):
        keys = KeyFile(data / "api_keys.json")
        self.keys = {tenant: keys.add(tenant)[1] for tenant in ("acme", "rival")}
        self.second = keys.add("acme")[1]
        ring = EvidenceKeyFile(data / "evidence.key").create()
        self.sealer = Sealer(Folder(data / "evidence"), ring.sealing)
        review = {"second_levels": [], "second_share": 0.0}
        self.server = serve(review=review, **sections)

    def client(self, token=None) -> httpx.Client:
        headers = {"Authorization": f"Bearer {token or self.keys['acme']}"}
        return httpx.Client(base_url=self.server.url, trust_env=False, timeout=20, headers=headers)

    def case(self, cause="vio_1", call_id="c", event=None, **changes) -> str:
        """A call tells of a violation; is back when its case is there."""
        event = event or violation(cause, call_id=call_id, **changes)
        self.server.publish(spec(call_id=call_id), event)
        with self.client() as client:
            until = time.monotonic() + 10
            while time.monotonic() < until:
                found = client.get("/v1/cases", params={"q": call_id}).json()["cases"]
                if found:
                    return found[0]["case_id"]
                time.sleep(0.02)
        raise AssertionError("no case")


def test_who_has_claimed_a_case_reads_what_was_said(house):
    case = house.case()
    clip = write_clip(house.sealer, {"media": b"m", "notes": json.dumps({"transcript": ["说过"]}).encode()})
    house.server.publish(spec(), ready(clip))
    with house.client() as client, house.client(house.second) as colleague:
        until = time.monotonic() + 10
        while not client.get(f"/v1/cases/{case}").json()["clips"]:
            assert time.monotonic() < until
            time.sleep(0.02)
        client.post(f"/v1/cases/{case}/claim")
        (mine,) = client.get(f"/v1/cases/{case}").json()["clips"]
        (theirs,) = colleague.get(f"/v1/cases/{case}").json()["clips"]
    assert (mine["notes"], theirs["notes"]) == ({"transcript": ["说过"]}, None)
    assert mine["participants"] is None


def send(client, route, case=CASE, appeal=APPEAL):
    method, path, body = route
    text = json.dumps(body).replace("{case}", case) if body is not None else None
    headers = {"Content-Type": "application/json"} if text else {}
    return client.request(method, path.format(case=case, appeal=appeal), content=text, headers=headers)


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route[0]} {route[1]}")
def test_strangers_are_told_nothing(house, refused, route):
    case = house.case()
    with httpx.Client(base_url=house.server.url, trust_env=False, timeout=20) as stranger:
        refused(send(stranger, route, case), 401)
    with house.client("gk_wrong") as stranger:
        refused(send(stranger, route, case), 401)


def test_without_keys_nobody_reviews(server, refused):
    for route in ROUTES:
        refused(send(server.client, route), 401)


def test_another_tenant_finds_nothing(house, refused):
    case = house.case()
    with house.client() as client, house.client(house.keys["rival"]) as rival:
        claim = client.post(f"/v1/cases/{case}/claim").json()
        decision = {**DECISION, "lease": claim["lease"], "version": claim["version"]}
        assert client.post(f"/v1/cases/{case}/decide", json=decision).status_code == 200
        body = {"case_id": case, "role": "merchant", "statement": "no"}
        appeal = client.post("/v1/appeals", json=body).json()["appeal_id"]
        for route in ABOUT_ONE:
            refused(send(rival, route, case, appeal), 404)
        for state in ("waiting", "claimed", "appealed", "decided"):
            assert rival.get("/v1/cases", params={"state": state}).json()["cases"] == []
        assert rival.get("/v1/cases", params={"q": case}).json()["cases"] == []
        assert rival.get("/v1/appeals").json()["appeals"] == []


def test_ids_that_are_none_are_not_there(house, refused):
    bad = ["case_1", "..%2f..%2fetc", "%00", "case_" + "x" * 26, "' OR 1=1 --", "<script>", "a" * 300]
    with house.client() as client:
        for one, route in product(bad, ROUTES):
            path = route[1]
            if "{" in path:
                answer = client.request(
                    route[0], path.replace("{case}", one).replace("{appeal}", one), json={}
                )
                assert answer.status_code in (404, 405, 422), (path, one, answer.text)
        for route in ABOUT_ONE:
            refused(send(client, route), 404)


def test_a_case_is_taken_read_and_decided(house, refused):
    case = house.case(event=None)
    with house.client() as client, house.client(house.second) as colleague:
        taken = client.post("/v1/cases/next", json={}).json()["case"]
        assert taken["case_id"] == case
        late = refused(colleague.post(f"/v1/cases/{case}/claim"), 409)
        assert late["news"]["claimed_by"].startswith("key:acme/")
        page = client.get(f"/v1/cases/{case}").json()
        assert page["hit"]["rule"] == "contact.add"
        assert page["call"]["purpose"] == "after_sale_install"
        assert page["claimed_by_me"]
        assert client.post(f"/v1/cases/{case}/renew", json={"lease": taken["lease"]}).status_code == 200
        noted = client.post(f"/v1/cases/{case}/note", json={"note": "见过这个人"}).json()
        decision = {**DECISION, "lease": taken["lease"], "version": taken["version"]}
        stale = refused(client.post(f"/v1/cases/{case}/decide", json=decision), 409)
        assert [one["what"] for one in stale["news"]["changes"]] == ["note"]
        fresh = {**decision, "version": noted["version"], "actions": ["mute"]}
        done = client.post(f"/v1/cases/{case}/decide", json=fresh).json()
        assert (done["state"], done["finding"]) == ("decided", "confirmed")
        refused(client.post(f"/v1/cases/{case}/decide", json=fresh), 409)
        earlier = colleague.get(f"/v1/cases/{case}/earlier").json()
        assert earlier["decisions"][0]["reason"] == "explicit"
        assert client.get("/v1/review/report").json()["settled"] == 1


def test_an_appeal_goes_its_way(house, refused):
    case = house.case()
    with house.client() as client, house.client(house.second) as colleague:
        claim = client.post(f"/v1/cases/{case}/claim").json()
        client.post(
            f"/v1/cases/{case}/decide",
            json={**DECISION, "lease": claim["lease"], "version": claim["version"]},
        )
        body = {"case_id": case, "role": "shopper", "statement": "<script>alert(1)</script>"}
        made = client.post("/v1/appeals", json=body)
        assert made.status_code == 201
        where = made.headers["location"]
        refused(client.post(f"/v1/cases/{case}/claim"), 403)
        assert colleague.get(where).json()["was"] is None
        colleague.post(f"/v1/cases/{case}/claim")
        seen = colleague.post(f"{where}/opinion", json={"version": 1, "opinion": "dismiss"}).json()
        assert seen["was"] == "confirmed"
        refused(colleague.post(f"{where}/opinion", json={"version": 1, "opinion": "dismiss"}), 409)
        outcome = {"version": 2, "decision": "overturn", "reason": "she said no"}
        done = colleague.post(f"{where}/decide", json=outcome).json()
        assert done["outcome"] == "overturned"
        assert colleague.get("/v1/appeals", params={"state": "decided"}).json()["appeals"][0]["statement"]


def test_a_complaint_waits_too(house):
    case = house.case(event=complaint("shopper", "privacy"))
    with house.client() as client:
        page = client.get(f"/v1/cases/{case}").json()
    assert (page["kind"], page["hit"], page["complaint"]) == (
        "complaint",
        None,
        {"by": "shopper", "reason": "privacy"},
    )


@pytest.mark.parametrize(
    "change",
    [
        {"reason": "false_positive"},
        {"reason": None},
        {"decision": "punish"},
        {"decision": "dismiss", "reason": "false_positive", "actions": ["end"]},
        {"actions": ["kill"]},
        {"version": 0},
        {"version": 10**30},
        {"note": "a\x00b"},
        {"lease": "mine"},
        {"note": "x" * 2001},
        {"more": 1},
    ],
)
def test_decisions_that_are_none_are_refused(house, refused, change):
    case = house.case()
    with house.client() as client:
        refused(client.post(f"/v1/cases/{case}/decide", json={**DECISION, **change}), 422)


@pytest.mark.parametrize(
    "query",
    [
        "state=odd",
        "limit=0",
        "limit=201",
        "after=1",
        "level=HIGH",
        "category=a%20b",
        "page=2",
        "q=a%00b",
        "claimed_by=%00",
    ],
)
def test_queries_that_are_none_are_refused(house, refused, query):
    with house.client() as client:
        refused(client.get(f"/v1/cases?{query}"), 422)


def test_nobody_is_called_like_nothing(house, refused):
    with house.client() as client:
        refused(client.get("/v1/participants/a%00b"), 404)
        refused(client.delete("/v1/participants/a%00b"), 404)


def test_a_backslash_is_a_character_like_any_other(house):
    case = house.case()
    with house.client() as client:
        assert client.post(f"/v1/cases/{case}/note", json={"note": "\\u0000 \\\\u0000"}).status_code == 200


@pytest.mark.parametrize(
    "statement", ['{"facts": NaN}', '{"facts": 1e999}', json.dumps({"facts": "x" * 20_000})]
)
def test_statements_that_are_none_are_refused(house, refused, statement):
    body = f'{{"version": 1, "decision": "uphold", "reason": "plain", "statement": {statement}}}'
    headers = {"Content-Type": "application/json"}
    with house.client() as client:
        refused(client.post(f"/v1/appeals/{APPEAL}/decide", content=body, headers=headers), 422)


def test_what_is_urgent_is_not_dismissed_with_many(house, refused):
    house.case()
    body = {"level": "BLOCK", "reason": "false_positive"}
    with house.client() as client:
        refused(client.post("/v1/cases/dismiss", json=body), 422)
        assert client.post("/v1/cases/dismiss", json={**body, "level": "REVIEW"}).json()["count"] == 1


def test_pages_follow_each_other(house):
    for n in range(5):
        house.case(f"vio_{n}", call_id=f"c{n}")
    with house.client() as client:
        seen, after = [], ""
        while after is not None:
            page = client.get("/v1/cases", params={"limit": 2, "after": after}).json()
            seen += [one["call_id"] for one in page["cases"]]
            after = page["next"]
    assert sorted(seen) == [f"c{n}" for n in range(5)]


def test_many_are_dismissed_with_the_count(house, refused):
    for n in range(3):
        house.case(f"vio_{n}", call_id=f"c{n}")
    house.case("vio_9", call_id="c9", rule="pay.bank")
    body = {"rule": "contact.add", "reason": "exception_missing"}
    with house.client() as client:
        assert client.post("/v1/cases/dismiss", json=body).json()["count"] == 3
        assert refused(client.post("/v1/cases/dismiss", json={**body, "count": 4}), 409)["news"]["count"] == 3
        assert client.post("/v1/cases/dismiss", json={**body, "count": 3}).json()["dismissed"] == 3
        assert [one["rule"] for one in client.get("/v1/cases").json()["cases"]] == ["pay.bank"]

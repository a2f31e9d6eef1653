"""Every route by everybody who may ask: one table, and a route without a line in it fails."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

import httpx
import pytest
from starlette.routing import Route

from guardian.core.people import MAY, PEOPLE_ONLY, Duty, Permission
from guardian.evidence.folder import Folder
from guardian.evidence.keyfile import EvidenceKeyFile
from guardian.evidence.sealing import Sealer
from guardian.settings import Settings
from guardian.web.app import ROUTERS
from guardian.web.keyfile import KeyFile
from tests.evidence.estate import ready, spec, write_clip
from tests.fakes.host import FakeHost
from tests.staff import Staff
from tests.web.conftest import call_body, running


class Door(Enum):
    """Who may come to a route that no permission is asked for."""

    OPEN = "anybody"
    KEY = "an API key"
    LEG = "the token of a leg of the call"
    DEMO = "anybody on a machine without keys"


@dataclass(frozen=True)
class Page:
    """A page of the console."""

    permission: Permission


P = Permission
TABLE: dict[str, Door | Permission | Page] = {
    "GET /livez": Door.OPEN,
    "GET /readyz": Door.OPEN,
    "GET /metrics": Door.OPEN,
    "GET /": Door.OPEN,
    "GET /docs": Door.OPEN,
    "GET /static/{name}": Door.OPEN,
    "GET /demo": Door.DEMO,
    "GET /demo/sample": Door.DEMO,
    "GET /demo/voice": Door.DEMO,
    "GET /demo/events/{call_id}": Door.DEMO,
    "POST /v1/calls": Door.KEY,
    "GET /v1/calls/{call_id}": Door.KEY,
    "DELETE /v1/calls/{call_id}": Door.KEY,
    "POST /v1/calls/{call_id}/connect": Door.KEY,
    "POST /v1/calls/{call_id}/mode": Door.KEY,
    "POST /v1/calls/{call_id}/consent": Door.KEY,
    "POST /v1/calls/{call_id}/complaint": Door.KEY,
    "POST /v1/calls/{call_id}/mute": Door.KEY,
    "POST /v1/calls/{call_id}/notice": Door.KEY,
    "POST /v1/calls/{call_id}/shopper": Door.LEG,
    "POST /v1/calls/{call_id}/merchant": Door.LEG,
    "OPTIONS /v1/calls/{call_id}/shopper": Door.OPEN,
    "OPTIONS /v1/calls/{call_id}/merchant": Door.OPEN,
    "OPTIONS /v1/calls/{call_id}/sessions/{session_id}": Door.OPEN,
    "PATCH /v1/calls/{call_id}/sessions/{session_id}": Door.LEG,
    "DELETE /v1/calls/{call_id}/sessions/{session_id}": Door.LEG,
    "GET /v1/rules": P.RULES_SEE,
    "POST /v1/rules/test": P.RULES_TRY,
    "POST /v1/rules/backtest": P.RULES_TRY,
    "GET /v1/rules/files/{name:path}": P.RULES_SEE,
    "PUT /v1/rules/files/{name:path}": P.RULES_CHANGE,
    "DELETE /v1/rules/files/{name:path}": P.RULES_CHANGE,
    "GET /v1/rules/{rule_id}": P.RULES_SEE,
    "PATCH /v1/rules/{rule_id}": P.RULES_CHANGE,
    "GET /v1/events/dead": P.EVENTS_SEE,
    "POST /v1/events/dead/replay": P.EVENTS_REPLAY,
    "POST /v1/events/dead/discard": P.EVENTS_REPLAY,
    "GET /v1/events/dead/{event_id}": P.EVENTS_SEE,
    "GET /v1/events/endpoints": P.EVENTS_SEE,
    "POST /v1/events/endpoints/{name}/enable": P.EVENTS_REPLAY,
    "GET /v1/evidence": P.EVIDENCE_SEE,
    "GET /v1/evidence/{evidence_id}": P.EVIDENCE_SEE,
    "DELETE /v1/evidence/{evidence_id}": P.EVIDENCE_KEEP,
    "POST /v1/evidence/{evidence_id}/review": P.EVIDENCE_MARK,
    "PUT /v1/evidence/{evidence_id}/hold": P.EVIDENCE_KEEP,
    "DELETE /v1/evidence/{evidence_id}/hold": P.EVIDENCE_KEEP,
    "POST /v1/evidence/{evidence_id}/links": P.MEDIA_PLAY,
    "GET /v1/media/{ticket}": P.MEDIA_PLAY,
    "GET /v1/participants/{participant:path}": P.PARTICIPANTS,
    "DELETE /v1/participants/{participant:path}": P.PARTICIPANTS,
    "GET /v1/cases": P.CASES_SEE,
    "POST /v1/cases/next": P.CASES_DECIDE,
    "POST /v1/cases/dismiss": P.CASES_BULK,
    "GET /v1/cases/{case_id}": P.CASES_SEE,
    "GET /v1/cases/{case_id}/earlier": P.CASES_DECIDE,
    "POST /v1/cases/{case_id}/claim": P.CASES_DECIDE,
    "POST /v1/cases/{case_id}/renew": P.CASES_DECIDE,
    "POST /v1/cases/{case_id}/release": P.CASES_DECIDE,
    "POST /v1/cases/{case_id}/takeover": P.CASES_SECOND,
    "POST /v1/cases/{case_id}/note": P.CASES_DECIDE,
    "POST /v1/cases/{case_id}/decide": P.CASES_DECIDE,
    "GET /v1/review/report": P.QUALITY_SEE,
    "POST /v1/appeals": P.APPEALS_BRING,
    "GET /v1/appeals": P.CASES_SEE,
    "GET /v1/appeals/{appeal_id}": P.CASES_SEE,
    "GET /v1/appeals/{appeal_id}/draft": P.APPEALS_JUDGE,
    "POST /v1/appeals/{appeal_id}/opinion": P.APPEALS_JUDGE,
    "POST /v1/appeals/{appeal_id}/decide": P.APPEALS_JUDGE,
    "GET /v1/audit": P.AUDIT_SEE,
    "GET /v1/people": P.PEOPLE_MANAGE,
    "POST /v1/people": P.PEOPLE_MANAGE,
    "PATCH /v1/people/{account_id}": P.PEOPLE_MANAGE,
    "POST /v1/people/{account_id}/disable": P.PEOPLE_MANAGE,
    "POST /v1/people/{account_id}/enable": P.PEOPLE_MANAGE,
    "POST /v1/people/{account_id}/password": P.PEOPLE_MANAGE,
    "GET /v1/me": P.SELF,
    "PATCH /v1/me": P.SELF,
    "POST /v1/me/password": P.SELF,
    "GET /review/sign-in": Door.OPEN,
    "POST /review/sign-in": Door.OPEN,
    "POST /review/sign-out": Door.OPEN,
    "GET /review": Page(P.SELF),
    "GET /review/account": Page(P.SELF),
    "POST /review/account": Page(P.SELF),
    "POST /review/account/password": Page(P.SELF),
    "GET /review/queue": Page(P.CASES_SEE),
    "POST /review/queue": Page(P.CASES_DECIDE),
    "GET /review/queue/dismiss": Page(P.CASES_BULK),
    "POST /review/queue/dismiss": Page(P.CASES_BULK),
    "GET /review/queue/feed": Page(P.CASES_SEE),
    "GET /review/cases/{case_id}": Page(P.CASES_SEE),
    "POST /review/cases/{case_id}": Page(P.CASES_DECIDE),
    "GET /review/appeals": Page(P.CASES_SEE),
    "GET /review/appeals/{appeal_id}": Page(P.CASES_SEE),
    "POST /review/appeals/{appeal_id}/claim": Page(P.APPEALS_JUDGE),
    "POST /review/appeals/{appeal_id}/opinion": Page(P.APPEALS_JUDGE),
    "POST /review/appeals/{appeal_id}/decide": Page(P.APPEALS_JUDGE),
    "GET /review/report": Page(P.QUALITY_SEE),
    "GET /review/rules": Page(P.RULES_SEE),
    "POST /review/rules/test": Page(P.RULES_TRY),
    "GET /review/rules/{rule_id}": Page(P.RULES_SEE),
    "POST /review/rules/{rule_id}/past": Page(P.RULES_TRY),
    "POST /review/rules/{rule_id}/state": Page(P.RULES_CHANGE),
    "POST /review/rules/{rule_id}/exception": Page(P.RULES_TRY),
    "POST /review/rules/{rule_id}/exception/write": Page(P.RULES_CHANGE),
    "GET /review/events": Page(P.EVENTS_SEE),
    "POST /review/events/replay": Page(P.EVENTS_REPLAY),
    "POST /review/events/discard": Page(P.EVENTS_REPLAY),
    "POST /review/events/endpoints/{name}/enable": Page(P.EVENTS_REPLAY),
    "GET /review/operations": Page(P.OPERATIONS_SEE),
    "GET /review/operations/now": Page(P.OPERATIONS_SEE),
    "GET /review/people": Page(P.PEOPLE_MANAGE),
    "POST /review/people": Page(P.PEOPLE_MANAGE),
    "GET /review/people/{account_id}": Page(P.PEOPLE_MANAGE),
    "POST /review/people/{account_id}": Page(P.PEOPLE_MANAGE),
    "POST /review/people/{account_id}/disable": Page(P.PEOPLE_MANAGE),
    "POST /review/people/{account_id}/enable": Page(P.PEOPLE_MANAGE),
    "POST /review/people/{account_id}/password": Page(P.PEOPLE_MANAGE),
    "GET /review/audit": Page(P.AUDIT_SEE),
}

ROLES, KEYS = "Your roles do not allow this", "An API key does not allow this"
ALL_DUTIES = tuple(duty for duty in Duty if duty is not Duty.AUDITOR)


def routes() -> list[str]:
    """Every route there is, as the table has it."""
    return sorted(
        f"{method} {route.path}"
        for router in ROUTERS
        for route in router.routes
        if isinstance(route, Route)
        for method in route.methods or ()
        if method != "HEAD" or "GET" not in (route.methods or ())
    )


@dataclass
class Town:
    """A server with two platforms. somebody: by role, of acme; mayor: of rival, with every role but one."""

    url: str
    key: str
    rival_key: str
    objects: dict[str, str]
    somebody: dict[Duty, httpx.Client] = field(default_factory=dict)
    mayor: httpx.Client = field(default_factory=httpx.Client)
    _bare: dict[str, httpx.Client] = field(default_factory=dict)

    def path(self, route: str, **objects: str) -> str:
        path = route.partition(" ")[2].replace(":path}", "}")
        return path.format(**{**self.objects, **objects})

    def bare(self, **headers: str) -> httpx.Client:
        """Whoever shows this; one for all tests, as making one takes long."""
        name = repr(headers)
        if name not in self._bare:
            self._bare[name] = httpx.Client(base_url=self.url, trust_env=False, timeout=20, headers=headers)
        return self._bare[name]

    def keyed(self, key: str) -> httpx.Client:
        return self.bare(authorization=f"Bearer {key}")

    def forger(self, client: httpx.Client) -> httpx.Client:
        """A page of another site in somebody's browser: the cookie and nothing else."""
        return self.bare(cookie="; ".join(f"{name}={value}" for name, value in client.cookies.items()))

    def close(self) -> None:
        for client in (*self.somebody.values(), self.mayor, *self._bare.values()):
            client.close()


BODIES = {
    "POST /v1/evidence/{evidence_id}/review": {"state": "dismissed", "reason": "x"},
    "PUT /v1/evidence/{evidence_id}/hold": {"owner": "o", "reason": "r", "until": "2999-01-01T00:00:00Z"},
    "POST /v1/calls/{call_id}/mode": {"mode": "install"},
    "POST /v1/calls/{call_id}/consent": {"scopes": ["protect"]},
    "POST /v1/calls/{call_id}/mute": {"role": "merchant"},
    "POST /v1/people/{account_id}/password": {"password": "another good password"},
    "POST /v1/cases/{case_id}/takeover": {"reason": "away for long"},
    "POST /v1/cases/{case_id}/note": {"note": "seen"},
}
"""What is asked for in full, so that ids matter."""

NOTHING = {
    "call_id": "none", "session_id": "none", "name": "none", "rule_id": "none", "event_id": "none",
    "evidence_id": "ev_01JD0000000000000000000000", "ticket": "none", "participant": "none",
    "account_id": "p_000000000000", "case_id": "case_01JD0000000000000000000000",
    "appeal_id": "appeal_01JD0000000000000000000000", "rest": "none",
}  # fmt: skip


@pytest.fixture(scope="module")
def town(tmp_path_factory) -> Iterator[Town]:
    data = Path(tmp_path_factory.mktemp("town")) / "data"
    keys = KeyFile(data / "api_keys.json")
    key, rival_key = keys.add("acme")[1], keys.add("rival")[1]
    ring = EvidenceKeyFile(data / "evidence.key").create()
    server = {"port": 0, "requests_per_s": 100_000, "requests_burst": 100_000}
    settings = Settings(data_dir=str(data), server=server)
    with running(settings, FakeHost()) as server_up, Staff(settings) as staff:
        made = Town(server_up.url, key, rival_key, dict(NOTHING))
        clip = write_clip(Sealer(Folder(data / "evidence"), ring.sealing), {"media": b"x" * 100})
        server_up.publish(spec(shopper="u_secret", merchant="m_secret"), ready(clip, "c"))
        acme = made.keyed(key)
        assert acme.post("/v1/calls", json=call_body(call_id="acme-call")).status_code == 201
        until = time.monotonic() + 20
        while acme.get(f"/v1/evidence/{clip.evidence_id}").status_code == 404:
            assert time.monotonic() < until
            time.sleep(0.02)
        for duty in Duty:
            person = staff.hire(duty, tenant="acme")
            made.somebody[duty] = staff.client(made.url, person)
        mayor = staff.hire(*ALL_DUTIES, tenant="rival", name="mayor")
        made.mayor = staff.client(made.url, mayor)
        made.objects |= {
            "call_id": "acme-call",
            "evidence_id": clip.evidence_id,
            "participant": "u_secret",
            "account_id": staff.hire(Duty.VIEWER, tenant="acme", name="acme-victim").id,
        }
        yield made
        made.close()


def ask(client: httpx.Client, route: str, path: str) -> httpx.Response:
    """The answer without its body where that has no end."""
    method = route.partition(" ")[0]
    body = {} if method in ("GET", "DELETE", "OPTIONS") else {"json": BODIES.get(route, {})}
    request = client.build_request(method, path, **body)
    answer = client.send(request, stream=True)
    try:
        if not answer.headers.get("content-type", "").startswith("text/event-stream"):
            answer.read()
        else:
            answer._content = b""
    finally:
        answer.close()
    return answer


def test_the_table_has_a_line_for_every_route_and_no_other():
    assert routes() == sorted(TABLE)


def test_every_permission_is_asked_for_somewhere_and_given_to_somebody():
    assert set(MAY) == set(Permission)
    assert all(MAY.values())


GUARDED = [route for route, rule in TABLE.items() if isinstance(rule, Permission)]
PAGES = [route for route, rule in TABLE.items() if isinstance(rule, Page)]


@pytest.mark.parametrize("route", GUARDED)
def test_of_people_those_may_whose_role_allows_it(town, route):
    rule = TABLE[route]
    for duty, client in town.somebody.items():
        answer = ask(client, route, town.path(route, **NOTHING))
        if duty in MAY[rule]:
            assert answer.status_code != 401, (duty, answer.text)
            # Rules that come with Guardian, say, are changed by nobody.
            assert answer.status_code != 403 or ROLES not in answer.text, (duty, answer.text)
        else:
            assert answer.status_code == 403, (duty, answer.text)
            assert f"{ROLES} ({rule.value})" in answer.json()["detail"]


@pytest.mark.parametrize("route", GUARDED)
def test_strangers_may_nothing_and_keys_nothing_that_takes_a_person(town, route):
    path = town.path(route)
    for client in (town.bare(), town.bare(cookie=f"guardian_session={'x' * 43}")):
        answer = ask(client, route, path)
        assert answer.status_code == 401, answer.text
        assert "www-authenticate" in answer.headers
    assert ask(town.bare(authorization="Bearer gk_guess"), route, path).status_code == 401
    answer = ask(town.keyed(town.key), route, town.path(route, **NOTHING))
    told = answer.status_code == 403 and KEYS in answer.text
    assert told == (TABLE[route] in PEOPLE_ONLY), answer.text
    assert answer.status_code != 401


@pytest.mark.parametrize("route", PAGES)
def test_pages_lead_strangers_to_the_form_and_tell_others_what_they_need(town, route):
    rule = TABLE[route]
    assert isinstance(rule, Page)
    for duty, client in town.somebody.items():
        answer = ask(client, route, town.path(route, **NOTHING))
        if duty in MAY[rule.permission]:
            assert answer.status_code not in (401, 403), (duty, answer.text)
        else:
            assert answer.status_code == 403, duty
            assert rule.permission.value in answer.text
    for client in (town.bare(), town.keyed(town.key)):
        answer = ask(client, route, town.path(route))
        assert answer.status_code == 303
        assert answer.headers["location"].startswith("/review/sign-in")


@pytest.mark.parametrize("route", [route for route, rule in TABLE.items() if rule in (Door.KEY, Door.LEG)])
def test_calls_are_for_keys_and_legs_for_those_who_hold_their_token(town, route):
    for client in (town.bare(), town.bare(authorization="Bearer guess"), *town.somebody.values()):
        assert ask(client, route, town.path(route)).status_code == 401


@pytest.mark.parametrize("route", [route for route, rule in TABLE.items() if rule is Door.DEMO])
def test_the_try_it_page_is_not_there_with_keys(town, route):
    for client in (town.bare(), *town.somebody.values()):
        assert ask(client, route, town.path(route)).status_code == 404


@pytest.mark.parametrize(
    "route",
    [
        route
        for route, rule in TABLE.items()
        # Rules are named the same for everybody.
        if "{" in route and (rule is Door.KEY or isinstance(rule, Permission)) and "/rules/" not in route
    ],
)
def test_what_is_of_another_platform_is_not_there(town, route):
    """IDOR: ids of acme, asked for by rival with every role there is and by its key."""
    for client in (town.mayor, town.keyed(town.rival_key)):
        theirs = ask(client, route, town.path(route))
        none = ask(client, route, town.path(route, **NOTHING))
        assert theirs.status_code == none.status_code, theirs.text
        assert same(theirs.text) == same(none.text)


@pytest.mark.parametrize(
    "route", [route for route in PAGES if "{" in route and "/rules/" not in route and "/events/" not in route]
)
def test_pages_of_what_is_of_another_platform_are_not_there(town, route):
    theirs = ask(town.mayor, route, town.path(route))
    none = ask(town.mayor, route, town.path(route, **NOTHING))
    assert theirs.status_code == none.status_code == 404
    assert theirs.headers["content-type"].startswith("text/html")
    assert theirs.text == none.text


def same(text: str) -> str:
    """Without what is another one each time, and what was asked for."""
    text = text.replace("u_secret", "none")
    return re.sub(r'"(request_id|exported_at)":"[^"]*"', "", text)


@pytest.mark.parametrize("route", [route for route in TABLE if route.startswith("GET") and "{" not in route])
def test_lists_hold_nothing_of_another_platform(town, route):
    for client in (town.mayor, town.keyed(town.rival_key)):
        answer = ask(client, route, town.path(route))
        for secret in (town.objects["evidence_id"], "acme-call", "u_secret", "acme-victim"):
            assert secret not in answer.text


@pytest.mark.parametrize(
    "route",
    [
        route
        for route, rule in TABLE.items()
        if not route.startswith(("GET", "OPTIONS"))
        # There it makes no difference who is signed in; the form for it has a token of its own.
        and rule not in (Door.KEY, Door.LEG)
        and route != "POST /review/sign-in"
    ],
)
def test_no_other_page_can_have_a_browser_do_it(town, route):
    """CSRF: without the token nothing is done, whatever the role."""
    for client in (*town.somebody.values(), town.mayor):
        answer = ask(town.forger(client), route, town.path(route))
        assert answer.status_code == 403
        assert "out of date" in answer.json()["detail"]
